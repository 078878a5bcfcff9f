// SPDX-License-Identifier: MIT
/*
 * A page of several sectors that is believed when its first word is right.  Two
 * places are written in turn, so that one is always whole; without a checksum
 * nobody can tell which.
 */
#include "planted.h"

#define WORDS (4096 / sizeof(uint64_t))

static uint64_t sum_of(const uint64_t *page)
{
	uint64_t sum = 0x9e3779b97f4a7c15;
	unsigned int i;

	for (i = 0; i < WORDS - 1; i++)
		sum = (sum ^ page[i]) * 0xd6e8feb86659fd93;
	return sum;
}

static int life(void *arg)
{
	uint64_t *page = pirn_buf_alloc(4096), version;
	struct pirn_file *file;
	unsigned int i;

	(void)arg;
	right(pirn_open(&file, "state", O_RDWR | O_CREAT, 0600));
	right(pirn_sync_dir("."));
	for (version = 1; version < 100; version++) {
		for (i = 0; i < WORDS; i++)
			page[i] = version;
		page[WORDS - 1] = sum_of(page);
		right(pirn_pwrite(file, page, 4096, version % 2 * 4096, 0));
		right(pirn_fsync(file));
	}
	return 0;
}

static int recover(void *arg)
{
	uint64_t *page = pirn_buf_alloc(8192), *best = NULL;
	struct pirn_file *file;
	unsigned int i;

	(void)arg;
	if (pirn_open(&file, "state", O_RDWR, 0))
		return 0;	/* not yet made */
	memset(page, 0, 8192);
	right(pirn_pread(file, page, 8192, 0));
	for (i = 0; i < 2; i++) {
		uint64_t *one = page + i * WORDS;

		if (!one[0] || (!bad && one[WORDS - 1] != sum_of(one)))
			continue;
		if (!best || one[0] > best[0])
			best = one;
	}
	for (i = 0; best && i < WORDS - 1; i++)
		if (best[i] != best[0])
			wrong("version %llu has words of version %llu",
			      (unsigned long long)best[0],
			      (unsigned long long)best[i]);
	return 0;
}

int main(int argc, char **argv)
{
	choose(argc, argv);
	return run_and_crash(life, 20000000, recover);
}
