/* SPDX-License-Identifier: MIT */
/*
 * The simulator's own structures.  One thread touches a world; nothing in it is
 * atomic, and no order in it comes from an address.
 *
 *   sim.c        the world and its nodes: start, run, end, crash
 *   sim_core.c   the backend: turns, sleep, clock, where ops come in
 *   sim_io.c     an op from submission to completion
 *   sim_space.c  the same, of those that move no data: zeros, discards
 *   sim_data.c   what files hold: pages, and writes that are not durable
 *   sim_crash.c  what of that is durable after a sync, and left after a crash
 *   sim_names.c  names, and files as the library opens them
 *   sim_event.c  what happens next
 *   sim_log.c    the hash, the log and the report for "pirn sim"
 *   sim_dead.c   who waits when nothing can happen any more
 *   sim_options.c, sim_env.c  options; the world of a plain pirn_run()
 */
#ifndef PIRN_SIM_INTERNAL_H
#define PIRN_SIM_INTERNAL_H

#include <stdio.h>

#include <pirn/sim.h>

#include "backend.h"
#include "lib.h"

#define SIM_NODES	64u
#define SIM_BEGIN	1000000000ull
#define SIM_MAX_FILE	(16ull << 40)
#define SIM_SECTOR	512u
#define SIM_SECTORS	(PIRN_PAGE / SIM_SECTOR)
#define SIM_MILLION	1000000u

struct sim_node;
struct sim_file;
struct sim_record;

/* ----------------------------------------------------------- sim_event.c */

enum sim_event_kind { SIM_TURN, SIM_CAPTURE, SIM_COMPLETE };

/* Lies in what it is about; in the heap while place is not 0. */
struct sim_event {
	uint32_t place;
	uint32_t kind;
};

struct sim_entry {
	uint64_t time;
	uint64_t tie;			/* random: the order of equal times */
	struct sim_event *event;
};

struct sim_heap {
	struct sim_entry *entry;	/* [1] is the least */
	uint32_t count;
	uint32_t room;
	uint32_t promised;		/* events there may be at once */
};

/* Room for @more events at once; sim_event_add() then always has it. */
int sim_heap_reserve(struct sim_heap *heap, uint32_t more);
static inline void sim_heap_release(struct sim_heap *heap, uint32_t more)
{
	heap->promised -= more;
}
void sim_event_add(struct pirn_sim *sim, struct sim_event *event, uint64_t time);
void sim_event_remove(struct pirn_sim *sim, struct sim_event *event);
static inline uint64_t sim_event_time(const struct sim_heap *heap,
				      const struct sim_event *event)
{
	return heap->entry[event->place].time;
}

/* splitmix64 of Steele, Lea and Flood: a step is four operations. */
static inline uint64_t sim_next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

/* From 0 to @below - 1; the bias of 1 in 2^64 / below does not matter here. */
static inline uint64_t sim_below(uint64_t *state, uint64_t below)
{
	return (uint64_t)(((unsigned __int128)sim_next(state) * below) >> 64);
}

static inline uint64_t sim_between(uint64_t *state, uint64_t from, uint64_t to)
{
	return from + sim_below(state, to - from + 1);
}

/* ------------------------------------------------------------ sim_data.c */

/* Shared by what is seen, what is durable, and writes between the two. */
struct sim_page {
	uint32_t refs;
	struct sim_page *next;		/* in the list of free ones */
	char data[PIRN_PAGE];
};

/* What one write that is not durable did to one page. */
struct sim_piece {
	struct sim_piece *newer;	/* of the same page */
	struct sim_piece *older;
	struct sim_record *record;
	struct sim_page *page;		/* as the write left it; NULL: zeros */
	uint64_t index;			/* of the page in its file */
	uint8_t sectors;		/* that it wrote, and no durable one later */
	bool vague;			/* a discard: what they hold is anything */
};

/* A write or change of length that is not durable. */
struct sim_record {
	struct sim_record *next;	/* of the node, in the order they were made */
	struct sim_record *prev;
	struct sim_record *file_next;	/* of the file, likewise */
	struct sim_record *file_prev;
	struct sim_file *file;
	uint64_t done;			/* node->syncs_seen when it completed; 0: not yet */
	uint64_t from;
	uint64_t bytes;
	uint64_t end;			/* how long the file is then, at least */
	bool truncate;
	bool empty;			/* zeros, a discard: no data in the cache */
	bool pooled;
	uint32_t pieces;
	struct sim_piece piece[];
};

struct sim_slot {
	struct sim_page *seen;		/* NULL: zeros */
	struct sim_page *durable;
	struct sim_piece *newest;	/* of those not durable */
	uint8_t bad;			/* sectors that cannot be read */
	uint8_t vague;			/* and those discarded, */
	uint8_t durable_vague;		/* and of the durable page */
	bool imported;			/* the host's file was looked at */
};

#define SIM_CHUNK	512u

struct sim_file {
	struct sim_file *next;		/* of the node */
	struct sim_file *prev;
	struct sim_node *node;
	uint64_t id;			/* of the node's files, in order of making */
	uint32_t refs;			/* names, durable names, handles, name records */
	uint32_t block_bytes;
	bool block;			/* a device: its size is fixed */
	int host_fd;			/* where it was imported from, or -1 */
	uint64_t host_bytes;
	uint64_t bytes;
	uint64_t durable_bytes;
	struct sim_slot **chunk;
	uint64_t chunks;
	struct sim_record *first;
	struct sim_record *last;
};

struct sim_file *sim_file_make(struct sim_node *node);
void sim_file_put(struct sim_file *file);
/* What the file has for a page; NULL with @make false: nothing yet. */
struct sim_slot *sim_slot(struct sim_file *file, uint64_t index, bool make);
void sim_data_read(struct sim_file *file, void *buf, uint64_t offset,
		   uint64_t bytes);
bool sim_data_bad(struct sim_file *file, uint64_t offset, uint64_t bytes);
/* Writes what readers then see; the record of it, not done.  @buf NULL: zeros. */
struct sim_record *sim_data_write(struct sim_file *file, const void *buf,
				  uint64_t offset, uint64_t bytes);
/* What readers see there is then anything: the record of it, not done. */
struct sim_record *sim_data_discard(struct sim_file *file, uint64_t offset,
				    uint64_t bytes);
/* Makes it longer, by zeros: the record of it, done. */
void sim_data_extend(struct sim_file *file, uint64_t bytes);
void sim_data_truncate(struct sim_file *file, uint64_t bytes);
struct sim_page *sim_page_get(struct pirn_sim *sim);
void sim_page_put(struct pirn_sim *sim, struct sim_page *page);
/* A page that may be written: *page itself, or a copy in its place. */
struct sim_page *sim_page_own(struct pirn_sim *sim, struct sim_page **page);
void sim_data_free(struct pirn_sim *sim);
struct sim_record *sim_record_make(struct sim_file *file, uint32_t pieces);
void sim_record_free(struct sim_record *record);

/* ----------------------------------------------------------- sim_crash.c */

/* Makes a record durable and frees it. */
void sim_record_keep(struct sim_record *record);
/* Frees it without: readers still see it. */
void sim_record_drop(struct sim_record *record);
/* Every write of @file completed by @done is durable; @partly: or never will be. */
void sim_data_sync(struct sim_file *file, uint64_t done, bool partly);
/* Makes the oldest durable until no more than the cache's size is not. */
void sim_data_settle(struct sim_node *node);
void sim_data_crash(struct sim_node *node);

/* ----------------------------------------------------------- sim_names.c */

struct sim_name {
	char *path;
	struct sim_file *seen;		/* NULL: there is none */
	struct sim_file *durable;
	bool heard;			/* asked for: no longer the host's */
};

/* A change of names that is not durable. */
struct sim_change {
	struct sim_change *next;
	struct sim_change *prev;
	struct sim_name *name[2];	/* [1] NULL but for a rename */
	struct sim_file *file[2];	/* what they then name */
	bool picked;
};

struct sim_names {
	struct sim_name **name;
	uint32_t count;
	uint32_t room;
	struct sim_change *first;
	struct sim_change *last;
};

int sim_names_disk(struct sim_node *node, const char *path, uint64_t bytes,
		   uint32_t block_bytes);
void sim_names_crash(struct sim_node *node);
void sim_names_free(struct sim_node *node);

int sim_file_open(struct pirn_core *core, struct pirn_file *file,
		  const char *path, int flags, mode_t mode);
void sim_file_close(struct pirn_file *file);
int64_t sim_file_size(struct pirn_file *file);
int sim_file_truncate(struct pirn_core *core, struct pirn_file *file,
		      uint64_t bytes);
int sim_rename(struct pirn_core *core, const char *from, const char *to);
int sim_unlink(struct pirn_core *core, const char *path);
int sim_dir_sync(struct pirn_core *core, const char *path);

/* ------------------------------------------------- sim_core.c, sim_io.c */

/* An op under way; of the core's table. */
struct sim_io {
	struct sim_event event;
	struct sim_io *next;		/* free, queued or completed */
	struct pirn_core *core;
	struct pirn_op *op;
	struct sim_file *file;
	struct sim_record *record;
	uint64_t offset;
	uint64_t ends;			/* when it is to complete */
	uint64_t done;			/* a sync covers what completed by then */
	uint64_t bytes;
	int32_t result;
	uint8_t kind;
	uint8_t mode;			/* FALLOC_FL_*, of those there are */
	bool dsync;
	bool fails;			/* -EIO was chosen */
	bool lies;
};

enum { SIM_IO_NAME = PIRN_IO_KINDS };	/* beyond enum pirn_op_kind */

/* A core as the world sees it. */
struct sim_core {
	struct sim_event turn;
	struct pirn_core *core;
	struct sim_node *node;
	uint64_t not_before;		/* it is stuck until then */
	struct sim_io *io;
	struct sim_io *free;
	struct sim_io *queued;
	struct sim_io *queued_last;
	struct sim_io *completed;
	struct sim_io *completed_last;
};

void sim_core_turn(struct sim_core *sc);
/* The core has a turn at @when, or earlier. */
void sim_core_wake(struct sim_core *sc, uint64_t when);
void sim_io_submit(struct sim_io *io);
void sim_io_capture(struct sim_io *io);
void sim_io_complete(struct sim_io *io);
/* sim_space.c: the stages of FALLOCATE and DISCARD. */
void sim_space_submit(struct pirn_sim *sim, struct sim_io *io);
void sim_space_capture(struct pirn_sim *sim, struct sim_io *io);
void sim_space_complete(struct pirn_sim *sim, struct sim_io *io);
void sim_core_submit(struct sim_core *sc);
/* Parks the fiber for as long as an op takes. */
void sim_core_delay(struct pirn_core *core);
/* Gives back the events of a node's cores. */
void sim_node_quiet(struct sim_node *node);

/* ----------------------------------------------------------------- sim.c */

enum sim_state {
	SIM_NEVER,
	SIM_RUNS,
	SIM_ENDING,			/* main has returned, ops are under way */
	SIM_ENDED,
	SIM_CRASHED,
};

struct sim_node {
	struct pirn_sim *sim;
	uint32_t number;
	enum sim_state state;
	uint32_t starts;
	struct pirn_runtime *rt;
	struct pirn_runtime *own;	/* rt, when pirn_sim_start() made it */
	int result;
	bool crash;			/* when the running turn is over */
	uint32_t in_flight;
	uint64_t hung_until;
	uint64_t done;			/* writes that completed, counted */

	struct sim_file *files;
	uint64_t file_ids;
	struct sim_record *first;
	struct sim_record *last;
	uint64_t unsynced;
	struct sim_names names;
};

/* What "pirn sim" reads, in a file both map; see sim_log.c. */
struct sim_report;

struct pirn_sim {
	struct pirn_sim_options opt;	/* with every default filled in */
	uint64_t now;
	uint64_t hash;
	struct sim_heap heap;
	struct sim_node *node[SIM_NODES];
	uint32_t live;			/* nodes that run or are ending */
	bool running;			/* inside pirn_sim_run() */
	bool crashed;			/* a fiber's own wish */
	uint64_t schedule;		/* a random sequence for each purpose, */
	uint64_t disk;			/* so that one fault more or less changes */
	uint64_t scenario;		/* as little else as can be */
	uint64_t chance[PIRN_SIM_FAULTS];
	struct pirn_sim_counts counts;
	struct sim_page *free_pages;
	struct sim_page_slab *slabs;
	struct sim_record *free_records;	/* with room for SIM_FEW pieces */
	FILE *log;
	struct sim_report *report;
	char *message;
	struct pirn_sim *next;		/* kept for the next pirn_run(): sim_env.c */
};

/* Whether an opportunity for a fault is taken. */
bool sim_fault_taken(struct pirn_sim *sim, enum pirn_sim_fault fault,
		     const struct sim_node *node);
static inline bool sim_fault(struct pirn_sim *sim, enum pirn_sim_fault fault,
			     const struct sim_node *node)
{
	return unlikely(sim->opt.fault[fault].rate) &&
	       sim_fault_taken(sim, fault, node);
}

int sim_node_get(struct pirn_sim *sim, unsigned int number,
		 struct sim_node **node);
int sim_node_start(struct sim_node *node, struct pirn_runtime *rt, char *why,
		   size_t why_bytes);
void sim_node_done(struct sim_node *node);
__attribute__((format(printf, 3, 4)))
int sim_error(struct pirn_sim *sim, int err, const char *format, ...);

static inline struct sim_node *sim_node_of(const struct pirn_core *core)
{
	return core->rt->world;
}

/* ------------------------------------------------------------- sim_log.c */

static inline void sim_mix(struct pirn_sim *sim, uint64_t word)
{
	uint64_t h = (sim->hash ^ word) * 0xd6e8feb86659fd93;

	sim->hash = h ^ h >> 32;
}
void sim_mix_bytes(struct pirn_sim *sim, const void *data, size_t bytes);

/* A line of the log; made only when there is one. */
__attribute__((format(printf, 4, 5)))
void sim_log_line(struct pirn_sim *sim, const struct sim_node *node, int core,
		  const char *format, ...);
#define sim_log(sim, node, core, ...)					\
	do {								\
		if (unlikely((sim)->log))				\
			sim_log_line(sim, node, core, __VA_ARGS__);	\
	} while (0)

int sim_log_open(struct pirn_sim *sim, char *why, size_t why_bytes);
void sim_log_close(struct pirn_sim *sim);
void sim_report_update(struct pirn_sim *sim);

/* ------------------------------------------ sim_dead.c, sim_options.c */

/* Says in sim->message who is parked where; -EDEADLK. */
int sim_dead(struct pirn_sim *sim);

int sim_options_copy(struct pirn_sim_options *to,
		     const struct pirn_sim_options *from, char *why,
		     size_t why_bytes);
int sim_options_check(struct pirn_sim_options *opt, char *why,
		      size_t why_bytes);

/* ------------------------------------------------------------- sim_env.c */

int sim_env_run(struct pirn_runtime *rt, char *why, size_t why_bytes);
int sim_env_cpus(struct pirn_runtime *rt, int *cpus, unsigned int max,
		 char *why, size_t why_bytes);

#endif /* PIRN_SIM_INTERNAL_H */
