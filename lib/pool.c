// SPDX-License-Identifier: MIT
/*
 * Buffers: a core's IO memory cut by halves, the buddy system (Knuth, The Art of
 * Computer Programming, volume 1, section 2.5).
 *
 * The unit is a page of 4 KiB.  state[] holds for the first page of a piece its
 * order (2^order pages) and whether it is free, for every other page NOT_FIRST.
 * Free pieces of an order are a list through next[] and prev[], beside the
 * memory and not in it: a device may write to a buffer that was given back too
 * early, and must not break the allocator.
 */
#include <stdlib.h>

#include "lib.h"
#include "mailbox.h"

#define NOT_FIRST	0xff
#define FREE		0x80
#define ORDER		0x7f
#define NONE		UINT32_MAX
#define MAX_ORDER	(ARRAY_SIZE(((struct pirn_pool *)0)->free) - 1)

static void free_list_add(struct pirn_pool *pool, uint32_t page, uint32_t order)
{
	uint32_t head = pool->free[order];

	pool->state[page] = (uint8_t)(FREE | order);
	pool->next[page] = head;
	pool->prev[page] = NONE;
	if (head != NONE)
		pool->prev[head] = page;
	pool->free[order] = page;
}

static void free_list_remove(struct pirn_pool *pool, uint32_t page,
			     uint32_t order)
{
	uint32_t next = pool->next[page], prev = pool->prev[page];

	if (next != NONE)
		pool->prev[next] = prev;
	if (prev != NONE)
		pool->next[prev] = next;
	else
		pool->free[order] = next;
	pool->state[page] = NOT_FIRST;
}

int pirn_pool_start(struct pirn_pool *pool)
{
	uint32_t page = 0, order;

	pool->pages = (uint32_t)(pool->bytes / PIRN_PAGE);
	pool->state = malloc(pool->pages);
	pool->next = malloc(pool->pages * sizeof(*pool->next));
	pool->prev = malloc(pool->pages * sizeof(*pool->prev));
	if (!pool->state || !pool->next || !pool->prev) {
		pirn_pool_stop(pool);
		return -ENOMEM;
	}
	memset(pool->state, NOT_FIRST, pool->pages);
	for (order = 0; order <= MAX_ORDER; order++)
		pool->free[order] = NONE;
	/* The largest aligned pieces that fit, from the start. */
	while (page < pool->pages) {
		order = page ? (uint32_t)__builtin_ctz(page) : MAX_ORDER;
		while (order > MAX_ORDER ||
		       (1ull << order) > pool->pages - page)
			order--;
		free_list_add(pool, page, order);
		page += 1u << order;
	}
	return 0;
}

void pirn_pool_stop(struct pirn_pool *pool)
{
	free(pool->state);
	free(pool->next);
	free(pool->prev);
	pool->state = NULL;
	pool->next = NULL;
	pool->prev = NULL;
}

static void *alloc(struct pirn_pool *pool, uint32_t order)
{
	uint32_t have = order, page;

	while (have <= MAX_ORDER && pool->free[have] == NONE)
		have++;
	if (have > MAX_ORDER)
		return NULL;
	page = pool->free[have];
	free_list_remove(pool, page, have);
	while (have > order) {
		have--;
		free_list_add(pool, page + (1u << have), have);
	}
	pool->state[page] = (uint8_t)order;
	return pool->base + (uint64_t)page * PIRN_PAGE;
}

uint64_t pirn_pool_piece(const struct pirn_pool *pool, const void *buf)
{
	uint64_t offset = (uint64_t)((const char *)buf - pool->base);
	uint8_t state;

	if (offset >= pool->bytes || offset % PIRN_PAGE)
		return 0;
	state = pool->state[offset / PIRN_PAGE];
	/* NOT_FIRST has that bit too */
	return state & FREE ? 0 : (uint64_t)PIRN_PAGE << state;
}

int pirn_pool_release(struct pirn_pool *pool, const void *buf)
{
	uint64_t offset = (uint64_t)((const char *)buf - pool->base);
	uint32_t page = (uint32_t)(offset / PIRN_PAGE), order, buddy;

	if (!pirn_pool_piece(pool, buf))
		return -EFAULT;
	order = pool->state[page];
	for (; order < MAX_ORDER; order++) {
		buddy = page ^ (1u << order);
		if (buddy >= pool->pages || pool->state[buddy] != (FREE | order))
			break;
		free_list_remove(pool, buddy, order);
		pool->state[page] = NOT_FIRST;
		if (buddy < page)
			page = buddy;
	}
	free_list_add(pool, page, order);
	return 0;
}

struct pirn_pool *pirn_pool_of(const struct pirn_core *core, const void *buf)
{
	for (uint32_t i = 0; i < core->rt->cores; i++) {
		struct pirn_pool *pool = &core->rt->core[i]->pool;

		if ((uint64_t)((const char *)buf - pool->base) < pool->bytes)
			return pool;
	}
	return NULL;
}

/* ---------------------------------------------------------------- public */

void *pirn_buf_alloc(size_t bytes)
{
	struct pirn_core *core = pirn_this();
	uint32_t order = 0;
	void *buf;

	if (!core)
		return NULL;
	if (!bytes || bytes > core->pool.bytes) {
		pirn_fail(core, -EINVAL,
			  "a buffer of %zu bytes: 1 to pool_bytes (%llu) can be had",
			  bytes, (unsigned long long)core->pool.bytes);
		return NULL;
	}
	while (((uint64_t)PIRN_PAGE << order) < bytes)
		order++;
	buf = alloc(&core->pool, order);
	if (!buf)
		pirn_fail(core, -ENOMEM,
			  "the pool of core %u (pool_bytes %llu) has no free piece of %llu bytes",
			  core->index, (unsigned long long)core->pool.bytes,
			  (unsigned long long)PIRN_PAGE << order);
	return buf;
}

static int free_at_home(void *buf)
{
	return pirn_pool_release(&pirn_this_core->pool, buf);
}

/* Nobody waits to be told. */
static int free_posted(void *buf)
{
	struct pirn_core *core = pirn_this_core;
	int err = pirn_pool_release(&core->pool, buf);

	if (err)
		core->stats.bad_frees++;
	return err;
}

static int buf_free(void *buf, bool post)
{
	struct pirn_core *core = pirn_this();
	struct pirn_pool *pool;
	int err;

	if (!core)
		return -EPERM;
	if (!buf)
		return 0;
	pool = pirn_pool_of(core, buf);
	if (!pool)
		err = -EFAULT;
	else if (pool == &core->pool)
		err = pirn_pool_release(pool, buf);
	else if (post)
		err = pirn_post_inline(core, pool->owner, free_posted, buf);
	else
		err = pirn_call_inline(core, pool->owner, free_at_home, buf);
	if (err != -EFAULT)
		return err;
	return pirn_fail(core, -EFAULT,
			 "%p is not a buffer that pirn_buf_alloc() gave out", buf);
}

int pirn_buf_free(void *buf)
{
	return buf_free(buf, false);
}

int pirn_buf_return(void *buf)
{
	return buf_free(buf, true);
}
