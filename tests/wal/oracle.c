// SPDX-License-Identifier: MIT
#include <string.h>

#include "oracle.h"

#define ORACLE_PAGE 31	/* records of a page of the engine */

bool oracle_alike;

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

uint64_t oracle_random(uint64_t seed, uint64_t a, uint64_t b)
{
	return mix(mix(seed * 0x9e3779b97f4a7c15u + a) + b + 1);
}

void oracle_layout(struct oracle_writer *w, unsigned int writers,
		   unsigned int shards, unsigned int pages)
{
	unsigned int per_shard = (writers + shards - 1) / shards;

	for (unsigned int i = 0; i < writers; i++) {
		w[i].shard = i % shards;
		for (unsigned int k = 0; k < w[i].keys; k++) {
			uint64_t n = k * per_shard + i / shards;

			w[i].key[k] = (n % pages * ORACLE_PAGE + n / pages) *
				      shards + w[i].shard;
		}
	}
}

/* Length and every byte follow from key and version. */
static uint32_t make_value(uint64_t key, uint32_t version, char *value)
{
	uint64_t seed = mix(key * 0x9e3779b97f4a7c15u + version), word;
	uint32_t bytes = 4 + (uint32_t)(seed % (WAL_VALUE_BYTES - 3)), i;

	if (oracle_alike)
		bytes = 64;

	memcpy(value, &version, 4);
	for (i = 4; i < bytes; i++) {
		word = mix(seed + i / 8);
		value[i] = (char)(word >> 8 * (i % 8));
	}
	return bytes;
}

uint32_t oracle_version(uint64_t key, const char *value, int bytes)
{
	char want[WAL_VALUE_BYTES];
	uint32_t version;

	if (!bytes)
		return 0;
	if (bytes < 4)
		return ORACLE_GARBAGE;
	memcpy(&version, value, 4);
	if (make_value(key, version, want) != (uint32_t)bytes ||
	    memcmp(want, value, (size_t)bytes))
		return ORACLE_GARBAGE;
	return version;
}

unsigned int oracle_begin(struct oracle_writer *w, uint64_t random,
			  struct wal_write *writes,
			  char values[WAL_WRITES][WAL_VALUE_BYTES])
{
	struct oracle_commit *c = &w->commit[w->n++];

	*c = (struct oracle_commit){
		.version = ++w->version,
		.n = oracle_alike ? 1 : (uint8_t)(1 + random % WAL_WRITES),
	};
	for (unsigned int i = 0; i < c->n; i++) {
		random = mix(random + i + 1);
		c->key[i] = (uint8_t)(random % w->keys);
		c->gone[i] = !oracle_alike && (random >> 32) % 8 == 0;
		/* Of a key twice in one commit the last counts, removed or not. */
		writes[i] = (struct wal_write){
			.key = w->key[c->key[i]], .value = values[i],
		};
		if (!c->gone[i])
			writes[i].bytes = make_value(writes[i].key, c->version,
						     values[i]);
	}
	return c->n;
}

static void apply(const struct oracle_commit *c, uint32_t *state)
{
	for (unsigned int i = 0; i < c->n; i++)
		state[c->key[i]] = c->gone[i] ? 0 : c->version;
}

void oracle_acked(struct oracle_writer *w)
{
	if (w->acked < w->n)
		apply(&w->commit[w->acked++], w->now);
}

void oracle_refused(struct oracle_writer *w)
{
	/* Unless somebody has read it: then it stays, and the next look fails. */
	w->n = w->acked;
}

bool oracle_read(struct oracle_writer *w, unsigned int key, unsigned int acked,
		 uint32_t before, const char *value, int bytes)
{
	uint32_t version = oracle_version(w->key[key], value, bytes);
	uint32_t at = before;

	for (unsigned int k = acked;; k++) {
		if (version == at) {
			while (w->acked < k)
				oracle_acked(w);
			return true;
		}
		if (k == w->n)
			return false;
		for (unsigned int i = 0; i < w->commit[k].n; i++)
			if (w->commit[k].key[i] == key)
				at = w->commit[k].gone[i] ? 0 : w->commit[k].version;
	}
}

static bool same(const struct oracle_writer *w, const uint32_t *found,
		 const uint32_t *state)
{
	for (unsigned int i = 0; i < w->keys; i++)
		if (found[i] != ORACLE_UNREADABLE && found[i] != state[i])
			return false;
	return true;
}

bool oracle_found(struct oracle_writer *w, const uint32_t *found,
		  unsigned int lost)
{
	uint32_t state[ORACLE_KEYS] = { 0 }, best[ORACLE_KEYS];
	unsigned int k, at = UINT32_MAX;

	for (k = 0;; k++) {
		if (k + lost >= w->acked && same(w, found, state)) {
			at = k;
			memcpy(best, state, sizeof(best));
		}
		if (k == w->n)
			break;
		apply(&w->commit[k], state);
	}
	if (at == UINT32_MAX)
		return false;
	memcpy(w->now, best, sizeof(best));
	w->n = at;
	w->acked = at;
	return true;
}
