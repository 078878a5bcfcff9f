// SPDX-License-Identifier: MIT
/*
 * A buffer that is used for the next page while the disk may still read it.
 */
#include "planted.h"

#define PAGES 4u

static struct pirn_file *file;
static unsigned int written;

struct write {
	char *buf;
	unsigned int page;
};

static int write_page(void *arg)
{
	struct write *write = arg;

	right(pirn_pwrite(file, write->buf, 4096, write->page * 4096, 0));
	written++;
	return 0;
}

static int life(void *arg)
{
	char *buf[PAGES], *back = pirn_buf_alloc(4096);
	struct pirn_fiber *fiber[PAGES];
	struct write write[PAGES];
	unsigned int i;

	(void)arg;
	right(pirn_open(&file, "pages", O_RDWR | O_CREAT, 0600));
	for (i = 0; i < PAGES; i++) {
		buf[i] = bad && i ? buf[0] : pirn_buf_alloc(4096);
		memset(buf[i], 'a' + (int)i, 4096);
		write[i] = (struct write){ buf[i], i };
		right(pirn_spawn(&fiber[i], write_page, &write[i]));
		/* "by now it has surely been read" */
		right(pirn_sleep(200000));
	}
	for (i = 0; i < PAGES; i++)
		right(pirn_join(fiber[i], NULL));
	for (i = 0; i < PAGES; i++) {
		right(pirn_pread(file, back, 4096, i * 4096));
		if (back[0] != 'a' + (int)i)
			wrong("page %u holds '%c'", i, back[0]);
	}
	return 0;
}

int main(int argc, char **argv)
{
	choose(argc, argv);
	return run_plain(life);
}
