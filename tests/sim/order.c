// SPDX-License-Identifier: MIT
/*
 * Relies on two writes completing in the order they were made: the header that
 * says where the data is goes out beside the data, and is believed when it is
 * there.
 */
#include "planted.h"

static struct pirn_file *file;
static char *data;

static int write_data(void *arg)
{
	(void)arg;
	right(pirn_pwrite(file, data, 4096, 4096, 0));
	return 0;
}

static int life(void *arg)
{
	char *header = pirn_buf_alloc(512), *back = pirn_buf_alloc(4096);
	struct pirn_fiber *fiber;

	(void)arg;
	data = pirn_buf_alloc(4096);
	memset(header, 0, 512);
	memset(data, 'd', 4096);
	right(pirn_open(&file, "order", O_RDWR | O_CREAT, 0600));
	right(pirn_truncate(file, 8192));
	right(pirn_spawn(&fiber, write_data, NULL));
	if (!bad)
		right(pirn_join(fiber, NULL));
	header[0] = 'h';
	/* long after the data was sent out */
	right(pirn_sleep(20000));
	right(pirn_pwrite(file, header, 512, 0, 0));
	right(pirn_pread(file, back, 4096, 4096));
	if (back[0] != 'd')
		wrong("the header is there and the data is not");
	if (bad)
		right(pirn_join(fiber, NULL));
	right(pirn_close(file));
	return 0;
}

int main(int argc, char **argv)
{
	choose(argc, argv);
	return run_plain(life);
}
