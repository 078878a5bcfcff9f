// SPDX-License-Identifier: MIT
/*
 * Random graphs of calls, posts and port sends over all cores, each from a seed.
 * The same code first walks a graph without running it, and so knows what every
 * call must return and how many posts and items there must be. A message lost
 * or a wait that nobody ends hangs; one doubled or mixed up is a wrong sum.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <pirn/message.h>

#include "helpers.h"

#define NESTING 6u
#define ROOTS 20u
#define MAX_CORES 64u

/* What happens outside of calls, whose results come back. */
struct totals {
	_Atomic uint64_t posts;
	_Atomic uint64_t post_sum;
	_Atomic uint64_t items;
	_Atomic uint64_t item_sum;
	_Atomic uint64_t buffers;
	_Atomic uint64_t buffer_sum;
};

struct graph {
	uint64_t seed;
	unsigned int cores;
	bool run;		/* or only count */
	struct totals totals;
	struct pirn_port port[MAX_CORES];
	struct pirn_port buffers[MAX_CORES];
	atomic_uint receivers;
};

/* A node: its graph, its own seed, how deep it may go. On the caller's stack. */
struct node {
	struct graph *graph;
	uint64_t seed;
	unsigned int depth;
	uint64_t sum;
};

struct item {
	uint64_t value;
	uint64_t check;
};

static void walk(struct node *node);

static int walk_called(void *arg)
{
	struct node *node = arg;

	walk(node);
	return (int)(node->sum & 0x7fffffff);
}

static int walk_posted(void *arg)
{
	struct node *node = arg;

	walk(node);
	atomic_fetch_add(&node->graph->totals.post_sum, node->sum);
	atomic_fetch_add(&node->graph->totals.posts, 1);
	free(node);
	return 0;
}

static void call(struct node *node, unsigned int core, uint64_t seed)
{
	struct node child = { node->graph, seed, node->depth - 1, 0 };
	int result;

	if (node->graph->run) {
		check_eq(pirn_call(core, walk_called, &child, &result), 0);
		check_eq(result, child.sum & 0x7fffffff);
	} else {
		walk(&child);
	}
	node->sum += child.sum;
}

static void post(struct node *node, unsigned int core, uint64_t seed)
{
	struct node *child = malloc(sizeof(*child));

	check(child);
	*child = (struct node){ node->graph, seed, node->depth - 1, 0 };
	if (node->graph->run)
		check_eq(pirn_post(core, walk_posted, child), 0);
	else
		walk_posted(child);
}

static void send_item(struct node *node, unsigned int core, uint64_t seed)
{
	struct item item = { seed, ~seed };
	struct graph *graph = node->graph;

	if (graph->run) {
		check_eq(pirn_port_send(graph->port[core], &item, sizeof(item)), 0);
		return;
	}
	graph->totals.items++;
	graph->totals.item_sum += seed;
}

/* From this core's pool to whoever receives, who gives it back. */
static void give_buffer(struct node *node, unsigned int core, uint64_t seed)
{
	struct graph *graph = node->graph;
	uint64_t *buf;

	if (graph->run) {
		while (!(buf = pirn_buf_alloc(4096)))
			check_eq(pirn_yield(), 0);
		*buf = seed;
		check_eq(pirn_port_give(graph->buffers[core], buf, (size_t)(seed & 0xffff),
					PIRN_NEVER), 0);
		return;
	}
	graph->totals.buffers++;
	graph->totals.buffer_sum += seed;
}

static void walk(struct node *node)
{
	struct rng rng = { node->seed };
	unsigned int i, children;

	node->sum = rng_next(&rng);
	children = node->depth ? (unsigned int)rng_below(&rng, 7) : 0;
	for (i = 0; i < children; i++) {
		unsigned int core = (unsigned int)rng_below(&rng, node->graph->cores);
		unsigned int what = (unsigned int)rng_below(&rng, 10);
		uint64_t seed = rng_next(&rng);

		if (what < 4)
			call(node, core, seed);
		else if (what < 6)
			post(node, core, seed);
		else if (what < 8)
			send_item(node, core, seed);
		else if (what < 9)
			give_buffer(node, core, seed);
		else if (node->graph->run)
			check_eq(pirn_yield(), 0);
	}
}

/* ------------------------------------------------------------- the receivers */

static int receive_items(void *arg)
{
	struct graph *graph = arg;
	struct item item;
	int err;

	while (!(err = pirn_port_receive(graph->port[pirn_core()], &item, sizeof(item)))) {
		check_eq(item.check, ~item.value);
		atomic_fetch_add(&graph->totals.item_sum, item.value);
		atomic_fetch_add(&graph->totals.items, 1);
	}
	check_eq(err, -EPIPE);
	check_eq(pirn_port_free(graph->port[pirn_core()]), 0);
	atomic_fetch_sub(&graph->receivers, 1);
	return 0;
}

static int receive_buffers(void *arg)
{
	struct graph *graph = arg;
	size_t bytes;
	void *buf;
	int err;

	while (!(err = pirn_port_take(graph->buffers[pirn_core()], &buf, &bytes,
				      PIRN_NEVER))) {
		uint64_t value = *(uint64_t *)buf;

		check_eq(bytes, value & 0xffff);
		if (value & 1)
			check_eq(pirn_buf_return(buf), 0);
		else
			check_eq(pirn_buf_free(buf), 0);
		atomic_fetch_add(&graph->totals.buffer_sum, value);
		atomic_fetch_add(&graph->totals.buffers, 1);
	}
	check_eq(err, -EPIPE);
	check_eq(pirn_port_free(graph->buffers[pirn_core()]), 0);
	atomic_fetch_sub(&graph->receivers, 1);
	return 0;
}

static int open_ports(void *arg)
{
	struct graph *graph = arg;
	int core = pirn_core();
	uint32_t capacity = 1 + (uint32_t)(graph->seed % 3);

	check_eq(pirn_port_open(&graph->port[core], sizeof(struct item), capacity), 0);
	check_eq(pirn_port_open_buffers(&graph->buffers[core], capacity), 0);
	check_eq(pirn_spawn(NULL, receive_items, graph), 0);
	check_eq(pirn_spawn(NULL, receive_buffers, graph), 0);
	return 0;
}

static struct node root_of(struct graph *graph, unsigned int core, unsigned int i)
{
	struct rng rng = { graph->seed * 1000003 + core * ROOTS + i };

	return (struct node){ graph, rng_next(&rng), NESTING, 0 };
}

static int run_root(void *arg)
{
	struct node *root = arg;

	call(root, (unsigned int)(root->seed % root->graph->cores), root->seed);
	return 0;
}

/* All at once. */
static int run_roots(void *arg)
{
	struct pirn_fiber *fiber[ROOTS];
	struct node root[ROOTS];
	unsigned int i;

	for (i = 0; i < ROOTS; i++) {
		root[i] = root_of(arg, (unsigned int)pirn_core(), i);
		check_eq(pirn_spawn(&fiber[i], run_root, &root[i]), 0);
	}
	for (i = 0; i < ROOTS; i++)
		check_eq(pirn_join(fiber[i], NULL), 0);
	return 0;
}

/* The roots of every core, without running them. */
static void count_only(struct graph *graph)
{
	unsigned int core, i;

	for (core = 0; core < graph->cores; core++) {
		for (i = 0; i < ROOTS; i++) {
			struct node root = root_of(graph, core, i);

			call(&root, 0, root.seed);
		}
	}
}

static int run_graph(void *arg)
{
	uint64_t seed = *(uint64_t *)arg;
	static struct graph plan, run;
	unsigned int core, cores = (unsigned int)pirn_core_count();
	struct totals *want = &plan.totals, *have = &run.totals;

	if (cores > MAX_CORES)
		skip_case("more than %u cores", MAX_CORES);
	memset(&plan, 0, sizeof(plan));
	memset(&run, 0, sizeof(run));
	plan.seed = run.seed = seed;
	plan.cores = run.cores = cores;
	count_only(&plan);

	run.run = true;
	run.receivers = 2 * cores;
	check_eq(pirn_call_all(open_ports, &run, NULL), 0);
	check_eq(pirn_call_all(run_roots, &run, NULL), 0);
	/* Posts go on by themselves; only they are waited for like this. */
	while (have->posts < want->posts || have->items < want->items ||
	       have->buffers < want->buffers)
		check_eq(pirn_sleep(50000), 0);
	check_eq(have->posts, want->posts);
	check_eq(have->post_sum, want->post_sum);
	check_eq(have->items, want->items);
	check_eq(have->item_sum, want->item_sum);
	check_eq(have->buffers, want->buffers);
	check_eq(have->buffer_sum, want->buffer_sum);
	for (core = 0; core < cores; core++) {
		check_eq(pirn_port_close(run.port[core]), 0);
		check_eq(pirn_port_close(run.buffers[core]), 0);
	}
	while (run.receivers)
		check_eq(pirn_sleep(50000), 0);
	check_eq(pirn_port_close(run.port[0]), -ESTALE);
	return 0;
}

static void graphs(unsigned int depth, unsigned int first, const char *cpus,
		   unsigned int n)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;
	unsigned int i;
	uint64_t seed;

	opt.cpus = cpus;
	opt.io_depth = 2;
	opt.call_depth = depth;
	opt.pool_bytes = MiB;
	for (i = 0; i < n; i++) {
		seed = first + i;
		opt.call_window = (uint32_t)(seed % 4);
		opt.spin_ns = seed % 2 ? PIRN_NO_SPIN : 0;
		if (cpus)
			run_on(&opt, run_graph, &seed);
		else
			run_on_cores(&opt, run_graph, &seed);
	}
}

TEST(random_graphs_at_depth_1)
{
	graphs(1, 1, NULL, scaled(40, 3));
}

TEST(random_graphs_at_depth_2)
{
	graphs(2, 1001, NULL, scaled(40, 3));
}

TEST(random_graphs_at_depth_64)
{
	graphs(64, 2001, NULL, scaled(40, 3));
}

/* Cores that share CPUs, so that each stops anywhere for a while. */
TEST(random_graphs_on_seven_cores)
{
	graphs(1, 3001, shared_cpus(7), scaled(6, 2));
	graphs(2, 4001, shared_cpus(7), scaled(6, 2));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_graphs_at_depth_1),
		cmocka_unit_test(random_graphs_at_depth_2),
		cmocka_unit_test(random_graphs_at_depth_64),
		cmocka_unit_test(random_graphs_on_seven_cores),
	};

	return run_program(argc, argv, "message_graph", tests, array_size(tests));
}
