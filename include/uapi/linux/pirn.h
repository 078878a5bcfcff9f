/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT */
/*
 * The ABI of /dev/pirn: IO completion channels and pinned memory pools.
 *
 * Three kinds of file descriptor:
 *
 *   /dev/pirn   QUERY, CHANNEL_CREATE and POOL_CREATE only.  It holds no state.
 *   channel     one pair of rings.  ATTACH and DETACH targets and pools, ENTER,
 *               NOTIFY, poll(), mmap().
 *   pool        pinned memory that IO uses.  mmap() and being attached.
 *
 * A channel and a pool live as long as somebody holds their fd (or a mapping,
 * or an op in flight).  Passing the fd passes the right.
 *
 * Rules every ioctl but ENTER and NOTIFY keeps
 *
 *   The argument points at a struct whose first field is `size`, set by the
 *   caller to the sizeof it was compiled with.  A shorter struct of an older
 *   header is read as if zero followed; a longer one is accepted when what the
 *   kernel does not know is zero, and the kernel writes back only what both
 *   know.  Every `resv` field must be zero.  Deadlines are absolute nanoseconds
 *   of CLOCK_MONOTONIC as the caller sees it.  A call that fails changed
 *   nothing.
 *
 * Errnos, each with one meaning (the same in a CQE's res, there negative)
 *
 *   ENOTTY      no such ioctl on this kind of fd
 *   E2BIG       a field this kernel does not know is not zero, or size is more
 *               than a page
 *   EINVAL      a known field, flag or reserved field holds a value that is
 *               not allowed, size is less than ABI version 1 has, an address,
 *               length or offset is not aligned, a target's file is not open
 *               with O_DIRECT; mmap() that is private, or of more than there is
 *   EOPNOTSUPP  well formed, but this kind of file or device cannot do it; in a
 *               CQE: an append, or FALLOC_FL_INSERT_RANGE, while there is an
 *               RLIMIT_FSIZE
 *   EFAULT      the argument, or the memory it names, is not accessible; in a
 *               CQE: the range does not lie in the pool
 *   EBADF       not an fd, or not of the kind asked for; in a CQE: no target
 *               with that index, or its file is not open in that direction
 *   ENXIO       in a CQE: no pool with that index
 *   ENOENT      DETACH: nothing is attached at that index
 *   ENODEV      mmap() of /dev/pirn, or of a pool of the caller's own memory
 *   EMFILE      the process has too many fds; ENFILE the system
 *   ENFILE      the channel's table of targets or pools is full
 *   EBUSY       in a CQE: a result slot of a JOIN belongs to a join that has not
 *               drained, an atomic write meets cached pages, or DISCARD some that
 *               are in use; somebody is in ENTER on this channel, or DETACH of a
 *               target or pool with ops in flight
 *   EPERM       ENTER from another address space than the first ENTER's; a
 *               write to a read-only device; mmap() to execute
 *   ENOMEM      no memory, or RLIMIT_MEMLOCK would be exceeded; from ENTER:
 *               nothing was submitted, try again
 *   EINTR       a signal came and nothing was submitted; from POOL_CREATE
 *               and mmap() a fatal one; in a CQE: a fatal one came before that
 *               member of a join, or what the file was doing was interrupted
 *   ETIME       the deadline passed and nothing was submitted
 *   EFBIG       in a CQE: past the caller's RLIMIT_FSIZE (a SIGXFSZ comes, too), or
 *               what the file system can hold
 *   ENOSPC      in a CQE: a write that starts at or past the end of a device, or
 *               that the file system has no room for
 *   ETXTBSY     in a CQE: a write to a device in use as swap
 *   others      in a CQE: what the block layer or the file said (EIO, ENODATA,
 *               ETIMEDOUT, EDQUOT...)
 */
#ifndef _UAPI_LINUX_PIRN_H
#define _UAPI_LINUX_PIRN_H

#include <linux/types.h>
#include <linux/ioctl.h>

#define PIRN_ABI_VERSION	1

/* Numbers without a size in them: the size is the struct's first field. */
#define PIRN_IOC_TYPE		0xBD

/* On /dev/pirn.  The two CREATE calls return a new fd, opened O_CLOEXEC. */
#define PIRN_IOC_QUERY		_IO(PIRN_IOC_TYPE, 0x00)
#define PIRN_IOC_CHANNEL_CREATE	_IO(PIRN_IOC_TYPE, 0x01)
#define PIRN_IOC_POOL_CREATE	_IO(PIRN_IOC_TYPE, 0x02)

/* On a channel. */
#define PIRN_IOC_ENTER		_IO(PIRN_IOC_TYPE, 0x10)
#define PIRN_IOC_ENTER_UNTIL	_IO(PIRN_IOC_TYPE, 0x11)
#define PIRN_IOC_NOTIFY		_IO(PIRN_IOC_TYPE, 0x12)
#define PIRN_IOC_TARGET_ATTACH	_IO(PIRN_IOC_TYPE, 0x13)
#define PIRN_IOC_TARGET_DETACH	_IO(PIRN_IOC_TYPE, 0x14)
#define PIRN_IOC_POOL_ATTACH	_IO(PIRN_IOC_TYPE, 0x15)
#define PIRN_IOC_POOL_DETACH	_IO(PIRN_IOC_TYPE, 0x16)

/* Limits of this ABI version; QUERY reports the ones of the running module. */
#define PIRN_MAX_SQ_ENTRIES	4096u
#define PIRN_MAX_CQ_ENTRIES	16384u
#define PIRN_MAX_TARGETS	1024u
#define PIRN_MAX_POOLS		256u
#define PIRN_MAX_POOL_BYTES	(1ull << 40)
#define PIRN_MAX_IO_BYTES	(16u << 20)
#define PIRN_MAX_RESULTS	16384u

/*
 * PIRN_IOC_QUERY: what the running module can do.  All fields but size are
 * written by the kernel.
 */
/* CHANNEL_CREATE knows PIRN_CHANNEL_TIMES. */
#define PIRN_FEATURE_TIMES	(1ull << 0)

struct pirn_query {
	__u32 size;
	__u32 abi_version;	/* PIRN_ABI_VERSION of the module */
	__u64 features;		/* PIRN_FEATURE_* */
	__u64 op_mask;		/* bit N set: op N can be submitted */
	__u64 sqe_flags;	/* PIRN_SQE_* that are known */
	__u64 max_pool_bytes;	/* may be less than PIRN_MAX_POOL_BYTES */
	__u32 max_sq_entries;
	__u32 max_cq_entries;
	__u32 max_targets;	/* per channel */
	__u32 max_pools;	/* per channel */
	__u32 max_io_bytes;	/* per op */
	__u32 max_results;	/* per channel */
};

/*
 * PIRN_IOC_CHANNEL_CREATE: returns a channel fd.
 *
 * @sq_entries and @cq_entries are powers of two from 1 to the limits, cq at
 * least sq.  @cq_entries bounds the ops in flight plus the CQEs not yet read.
 * @cpu is the CPU whose core will use the channel: a possible CPU; it decides
 * the memory node of the rings and the sysfs directory that counts the
 * channel's IO.  @results, up to PIRN_MAX_RESULTS, is how many result slots the
 * ops of joins have; 0: the channel does no joins.  Rings, slots and ops count
 * against the caller's RLIMIT_MEMLOCK.
 * EINVAL, ENOMEM, EMFILE, ENFILE.
 *
 * PIRN_CHANNEL_TIMES: each CQE says when it was published and how long its op
 * took, and the device times of the channel are counted in debugfs.
 */
#define PIRN_CHANNEL_TIMES	(1u << 0)

struct pirn_channel_create {
	__u32 size;
	__u32 flags;		/* PIRN_CHANNEL_* */
	__u32 sq_entries;
	__u32 cq_entries;
	__u32 cpu;
	__u32 results;
	__u64 mmap_bytes;	/* out: length of the one mapping, offset 0 */
};

/*
 * PIRN_IOC_POOL_CREATE: returns a pool fd.
 *
 * Without flags the kernel allocates @bytes of zeroed memory on @node, which has
 * memory and is one that the caller's cpuset allows (-1: the caller's), in the
 * largest contiguous pieces it can get, and @addr must be zero; mmap() of the fd
 * maps it, or any page-aligned part.  With PIRN_POOL_USER it pins @bytes at @addr,
 * which must be page aligned, writable and of anonymous, shmem or hugetlb memory,
 * and @node must be -1; such a pool cannot be mapped through its fd (ENODEV): the
 * caller has it mapped.
 * @bytes is a multiple of the page size.  Counts against RLIMIT_MEMLOCK until
 * the last user is gone.
 * EINVAL, EFAULT, EOPNOTSUPP (memory of another kind), ENOMEM, EMFILE, ENFILE,
 * EINTR.
 */
#define PIRN_POOL_USER		(1u << 0)

struct pirn_pool_create {
	__u32 size;
	__u32 flags;
	__u64 bytes;
	__u64 addr;
	__s32 node;
	__u32 segments;		/* out: contiguous pieces the memory is made of */
};

/*
 * PIRN_IOC_TARGET_ATTACH: let the channel's ops name a file by an index.
 *
 * @fd is a block device or a regular file opened with O_DIRECT.  Whoever may
 * submit on the channel may then do with it what the fd's mode allows, as with a
 * shared mapping: the permission is checked here and, of a device, not again.
 * Cached pages of a device are written back and dropped; may block.
 *
 * Ops on regular files and zoned devices go through the file's own code: tried in
 * ENTER without waiting, done by a worker, with the identity of the caller of ENTER
 * and within its RLIMIT_FSIZE, when they would wait.  Writes to zones of one
 * channel in flight together are in no order.
 *
 * EBADF, EINVAL (no O_DIRECT), EOPNOTSUPP (a file system without real direct IO, as
 * tmpfs, or not for this file; anything else), ENFILE, ENOMEM, EACCES and others
 * from the security module, EIO when writing back failed, now or unnoticed before.
 */
struct pirn_target_attach {
	__u32 size;
	__u32 flags;		/* none are defined: must be zero */
	__s32 fd;
	__u32 index;		/* out */
	__u64 bytes;		/* out: size of the device or file now */
	__u32 block_bytes;	/* out: offset and length are multiples of it */
	__u32 memory_align;	/* out: pool offsets are multiples of it */
};

/*
 * PIRN_IOC_TARGET_DETACH, and PIRN_IOC_POOL_DETACH below.  ENOENT; EBUSY while ops use
 * it, or while somebody submits on the channel.
 */
struct pirn_target_detach {
	__u32 size;
	__u32 index;
};

/* PIRN_IOC_POOL_ATTACH: @fd is a pool.  EBADF, EINVAL, ENFILE, ENOMEM. */
struct pirn_pool_attach {
	__u32 size;
	__u32 flags;		/* none are defined: must be zero */
	__s32 fd;
	__u32 index;		/* out */
	__u64 bytes;		/* out: length of the pool */
};

struct pirn_pool_detach {
	__u32 size;
	__u32 index;
};

/*
 * PIRN_IOC_ENTER: submit, and perhaps wait.  The argument is not a pointer but
 * one word of 32 bits:
 *
 *   bits  0..15  how many SQEs, from where the last ENTER stopped, to submit;
 *                at most sq_entries
 *   bit   16     PIRN_ENTER_WAIT
 *   others       must be zero
 *
 * PIRN_IOC_ENTER_UNTIL: the same with a deadline, another fd to watch, and an
 * answer that says what ended the wait; the argument points at a struct
 * pirn_enter.
 *
 * Both return how many SQEs were consumed, which may be fewer than asked: an
 * SQE is consumed only while ops in flight plus CQEs not yet read are fewer
 * than cq_entries, and not while its device has no room and all ops in flight
 * are on that device.  The rest stays where it is: call again with it when CQEs came.  A
 * consumed SQE gives exactly one CQE, also when it was invalid, but for the ops of
 * a join.
 *
 * With WAIT the call then sleeps until the CQ is not empty, a NOTIFY came, the
 * deadline passed, a signal came, or the watched fd is readable or has an error
 * or hang-up; a NOTIFY that is pending when it ends is used up.  When nothing
 * was consumed and neither CQE, NOTIFY nor the watched fd ended it, it fails
 * with EINTR or ETIME.  A deadline is absolute: after EINTR call again with the
 * same one.  EINTR also comes when another subsystem has work for the thread to
 * do on its way to user space, as an io_uring of the thread has: look there.
 *
 * The return value of ENTER_UNTIL has the count in PIRN_ENTER_COUNT_MASK, and
 * above it, when it waited, PIRN_ENDED_* for whatever was true at the end.  A
 * wait that finds CQEs or a NOTIFY does not look at the watched fd.
 *
 * With WATCH the fd in @watch is looked at as poll() does: what poll() would
 * find readable without waiting ends the wait at once.  A file that cannot be
 * polled, a channel and a pool are refused (EOPNOTSUPP).  The file is held
 * until the call returns: closing the fd meanwhile does not end the wait.  An
 * epoll that contains this very channel may be watched.  An io_uring set up with
 * IORING_SETUP_DEFER_TASKRUN does not become readable by itself, as the kernel
 * posts its completions only in the owner's own calls: watch an eventfd
 * registered with it.
 *
 * May block without WAIT, for as long as the block layer holds the submitter
 * back (cgroup throttling, no free requests).  One ENTER at a time; EBUSY to
 * others.  The first ENTER binds the channel to its address space.
 *
 * EINVAL (more than sq_entries, an unknown bit), EPERM, EBUSY, ENOMEM, EINTR, ETIME;
 * of the watched fd EBADF, EOPNOTSUPP.
 */
#define PIRN_ENTER_COUNT_MASK	0xffffu
#define PIRN_ENTER_WAIT		(1u << 16)
#define PIRN_ENTER_WATCH	(1u << 17)	/* ENTER_UNTIL, with WAIT */

#define PIRN_ENDED_CQE		(1u << 16)	/* the CQ is not empty */
#define PIRN_ENDED_NOTIFY	(1u << 17)	/* a NOTIFY was used up */
#define PIRN_ENDED_WATCH	(1u << 18)	/* the watched fd is ready */
#define PIRN_ENDED_DEADLINE	(1u << 19)
#define PIRN_ENDED_SIGNAL	(1u << 20)

struct pirn_enter {
	__u32 size;
	__u32 flags;		/* PIRN_ENTER_WAIT, PIRN_ENTER_WATCH */
	__u32 to_submit;
	__s32 watch;		/* an fd; zero without WATCH */
	__u64 deadline;		/* 0: none; EINVAL without WAIT */
};

/*
 * PIRN_IOC_NOTIFY: no argument (zero).  Ends the current wait of the channel's
 * ENTER, or the next one with WAIT if none is waiting; until then poll() finds
 * the channel readable.  Any process with the fd; never blocks.  EINVAL when the
 * argument is not zero.
 */

/* What an SQE asks for. */
enum pirn_op_code {
	PIRN_OP_NOP	= 0,	/* only a CQE with res 0 */
	PIRN_OP_READ	= 1,	/* @len bytes at @offset to the pool */
	PIRN_OP_WRITE	= 2,	/* @len bytes from the pool to @offset */
	PIRN_OP_FSYNC	= 3,	/* writes completed before are made durable */
	PIRN_OP_JOIN	= 4,	/* the next @len SQEs are the ops of one join */
	PIRN_OP_FDATASYNC = 5,	/* as FSYNC, but not what only stat() shows */
	PIRN_OP_FALLOCATE = 6,	/* fallocate(2) of @mode, @offset and @bytes */
	PIRN_OP_DISCARD	= 7,	/* what @bytes at @offset hold may be forgotten */
	PIRN_OP_LAST		/* not part of the ABI */
};

/* A write is durable when it completes, as each is to a file open with O_DSYNC. */
#define PIRN_SQE_DSYNC		(1u << 0)
/* Random access: do not look for requests to merge this one with. */
#define PIRN_SQE_NOMERGE	(1u << 1)
/*
 * A write to a block device that is there whole or not at all: by what RWF_ATOMIC
 * asks, of a power of two of bytes, and offset a multiple of it.  EOPNOTSUPP where
 * kernel or device have none, and for files; EBUSY where pages of it are cached.
 */
#define PIRN_SQE_ATOMIC		(1u << 2)

/*
 * 64 bytes, written by user space, read once by the kernel during ENTER; it may
 * be reused when ENTER has consumed it.
 *
 * READ and WRITE use every field; offset and len are multiples of the target's
 * block_bytes, pool_offset of its memory_align.  What crosses the end of a device
 * is clipped; what starts at or past it gives 0 to a read, ENOSPC to a write, and
 * so does an offset of 2^63 and more; EIO when the device is gone.  A regular file
 * is read and written as by pread() and pwrite() with O_DIRECT, and as by these the
 * op may move less than was asked, of a write too: go on where it ended.  FSYNC and
 * FDATASYNC use target.
 *
 * FALLOCATE uses target, offset, bytes and mode, FALLOC_FL_* as in <linux/falloc.h>:
 * FALLOC_FL_ZERO_RANGE writes zeroes by what means the device has, with or without
 * FALLOC_FL_KEEP_SIZE; FALLOC_FL_PUNCH_HOLE gives blocks back.  Block devices know
 * these two.  DISCARD uses target, offset and bytes, multiples of block_bytes, on a
 * block device, and ends within it (EINVAL): what is read there afterwards is the
 * device's to say.  EOPNOTSUPP where there is no such thing.
 *
 * JOIN uses len, threshold and offset, see struct pirn_cqe.  What an op does not
 * use must be zero.
 */
struct pirn_sqe {
	__u8  op;		/* enum pirn_op_code */
	__u8  resv0;
	__u16 flags;		/* PIRN_SQE_* */
	__u16 target;
	__u16 pool;
	__u64 cookie;		/* comes back in the CQE, never interpreted */
	__u64 offset;		/* bytes from the start of the target */
	union {
		__u64 pool_offset;	/* bytes from the start of the pool */
		__u64 bytes;		/* FALLOCATE, DISCARD */
	};
	__u32 len;		/* bytes, 1 to max_io_bytes; JOIN: ops, 1 up */
	union {
		__u32 threshold;	/* JOIN: 1 to len */
		__u32 mode;		/* FALLOCATE */
	};
	__u64 resv1[3];
};

/*
 * 32 bytes, written by the kernel, from interrupt context too.
 *
 * The times are zero unless the channel has PIRN_CHANNEL_TIMES.  @published is on
 * CLOCK_MONOTONIC as the process of the first ENTER sees it.  @device begins with
 * the ENTER that submitted the op, one time for all of its SQEs, and is zero for
 * what was refused before it got to the device.
 *
 * Join.  A JOIN SQE makes the @len SQEs after it, N of them, its members: ops
 * whose CQEs go not to the CQ but to the result slots @offset, @offset + 1 and so
 * on, in the order of the SQEs.  The CQ gets, with the cookie of the JOIN and in
 * res how many members have ended without an error,
 *
 *   PIRN_CQE_THRESHOLD   when @threshold members have, or when so many have failed
 *                        that it cannot be reached any more;
 *   PIRN_CQE_DRAINED     when all have ended.  Its slots, and the buffers of its
 *                        members, are user space's again.
 *
 * They come in one CQE when the last member to end decides both, and always when
 * threshold is N.  A member ends in its slot with PIRN_CQE_DONE, which is clear
 * from the ENTER that consumed it until then; who looks at slots before the join
 * has drained looks at that first.
 *
 * A JOIN and its members are consumed together or stay in the queue together:
 * ENTER needs N + 1 entries of the CQ for them, one more when threshold is less
 * than N.  A member the device has no room for is given to a worker and never left
 * in the queue; when a fatal signal comes between, the rest end with EINTR.  So a
 * join always drains.  A JOIN that is refused is an op like others, with one CQE,
 * and so is each SQE after it:
 *
 *   EINVAL   len is 0 or needs more entries than cq_entries, threshold is 0 or
 *            more than len, the slots are not all below results, its members are
 *            not all part of this ENTER, or it is a member itself (in its slot)
 *   EBUSY    one of the slots belongs to a join that has not drained
 *
 * Ordering, of a slot in front of the CQ's order below:
 *
 *   kernel, holding the channel's lock     user space, one thread
 *
 *   (F) write the slot but for its flags   load the slot's flags, acquire (H)
 *   (G) store PIRN_CQE_DONE, release       read the slot if DONE is there
 *
 *   (G) pairs with (H): without them a slot could be read half written.  Who has
 *   seen DRAINED needs no (H): (F) and (G) of all members come before the (B) of
 *   that CQE.
 */
struct pirn_cqe {
	__u64 cookie;
	__s32 res;		/* bytes, or 0, or a negative errno; of a join: ops */
	__u32 flags;		/* PIRN_CQE_* */
	__u64 device;		/* ns from ENTER to the end of the op */
	__u64 published;	/* ns, CLOCK_MONOTONIC */
};

#define PIRN_CQE_THRESHOLD	(1u << 0)
#define PIRN_CQE_DRAINED	(1u << 1)
#define PIRN_CQE_DONE		(1u << 2)	/* in a result slot */

/*
 * The start of a channel's mapping.  Lines of 64 bytes, grouped by who writes
 * them.  The SQ is an array of struct pirn_sqe at sq_offset, the CQ one of
 * struct pirn_cqe at cq_offset, the result slots one of struct pirn_cqe at
 * results_offset; all indices of rings run freely through 2^32 and are
 * masked with entries - 1.
 *
 * Ordering.  Both sides of the CQ, with what pairs:
 *
 *   kernel, holding the channel's lock     user space, one thread
 *
 *   (A) write CQE at tail                  load cq_tail, acquire    (C)
 *   (B) store cq_tail, release             read CQEs up to it
 *                                          store cq_head, release   (D)
 *   (E) load cq_head, acquire, in ENTER
 *
 *   (B) pairs with (C): without them a CQE could be read before it was
 *   written.  (D) pairs with (E): without them the kernel could give a slot
 *   out again while user space still reads it.  The SQ needs no barrier: SQEs
 *   are written and ENTER is called by the same thread.
 *
 * The kernel keeps its own copy of every index it writes and believes nothing
 * it reads: a wrong cq_head can only make the channel look full.
 */
#define PIRN_RING_MAGIC		0x4e524950u	/* "PIRN" */
#define PIRN_RING_VERSION	1u

struct pirn_ring_header {
	/* Written once, at creation. */
	__u32 magic;
	__u32 version;
	__u32 header_bytes;	/* sizeof(struct pirn_ring_header) */
	__u32 sq_offset;	/* bytes from the start of the mapping */
	__u32 sq_entries;
	__u32 cq_offset;
	__u32 cq_entries;
	__u32 cpu;
	__u64 mmap_bytes;
	__u32 results_offset;
	__u32 results;
	__u32 flags;		/* PIRN_CHANNEL_* */
	__u32 resv0[3];

	/* Written by the kernel in ENTER. */
	__u32 sq_head;		/* the next SQE ENTER will look at */
	__u32 resv1[15];

	/* Written by the kernel when an op completes. */
	__u32 cq_tail;
	__u32 resv2[15];

	/* Written by user space. */
	__u32 cq_head;
	__u32 resv3[15];
};

#endif /* _UAPI_LINUX_PIRN_H */
