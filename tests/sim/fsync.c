// SPDX-License-Identifier: MIT
/*
 * A log that says a record is safe when its write has completed, and does not
 * sync.  Who was told lives outside the machine that loses power.
 */
#include "planted.h"

#define RECORDS 50u

static unsigned int promised;		/* the oracle: not on the node */

static int life(void *arg)
{
	unsigned int *buf = pirn_buf_alloc(512), i;
	struct pirn_file *file;

	(void)arg;
	right(pirn_open(&file, "log", O_RDWR | O_CREAT, 0600));
	right(pirn_fsync(file));
	right(pirn_sync_dir("."));
	for (i = 0; i < RECORDS; i++) {
		memset(buf, 0, 512);
		buf[0] = i + 1;
		right(pirn_pwrite(file, buf, 512, i * 512, 0));
		if (!bad)
			right(pirn_fsync(file));
		promised = i + 1;
	}
	return 0;
}

static int recover(void *arg)
{
	unsigned int *buf = pirn_buf_alloc(512), i;
	struct pirn_file *file;

	(void)arg;
	if (!promised)
		return 0;
	right(pirn_open(&file, "log", O_RDWR, 0));
	for (i = 0; i < promised; i++) {
		buf[0] = 0;
		right(pirn_pread(file, buf, 512, i * 512));
		if (buf[0] != i + 1)
			wrong("record %u of %u is lost", i + 1, promised);
	}
	return 0;
}

int main(int argc, char **argv)
{
	choose(argc, argv);
	return run_and_crash(life, 10000000, recover);
}
