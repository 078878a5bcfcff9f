// SPDX-License-Identifier: MIT
/* Opening: what it says is wrong, and what it leaves behind when it fails. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>

#include "helpers.h"

static struct pirn_file *file;

/* In place of the C library's: a file system that has given up. */
int rename(const char *from, const char *to)
{
	const char *dot = strrchr(from, '.');

	if (dot && !strcmp(dot, ".timed-out"))
		errno = ETIMEDOUT;
	else if (dot && !strcmp(dot, ".cancelled"))
		errno = ECANCELED;
	else
		return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to,
				    0);
	return -1;
}

/* @error with a reason that holds @word */
static void refused(int got, int error, const char *word)
{
	check_eq(got, error);
	if (!strstr(pirn_reason(), word))
		check_failed(__FILE__, __LINE__, "the reason does not tell '%s'", word);
}

static int opens(void *arg)
{
	const char *path = test_target()->path;
	char below[300];

	(void)arg;
	snprintf(below, sizeof(below), "%s/below", path);
	check_eq(pirn_open(&file, "/no/such/file", O_RDWR, 0), -ENOENT);
	check_op(strlen(pirn_reason()), >, 5);
	check_eq(pirn_open(&file, below, O_RDWR, 0), -ENOTDIR);
	check_eq(pirn_open(&file, "/", O_RDWR, 0), -EISDIR);
	check_op(pirn_open(&file, "/", O_RDONLY, 0), <, 0);
	check_op(pirn_open(&file, "/dev/null", O_RDWR, 0), <, 0);
	check_op(pirn_open(&file, "/dev/null", O_RDWR | PIRN_O_BUFFERED, 0), <, 0);
	check_eq(pirn_open(&file, "", O_RDWR, 0), -ENOENT);
	check_eq(pirn_open(&file, path, O_RDWR | O_APPEND, 0), -EINVAL);
	check_eq(pirn_open(&file, path, O_RDWR | O_DIRECTORY, 0), -EINVAL);
	check_eq(pirn_open(&file, path, O_RDWR | 1 << 28, 0), -EINVAL);
	check_eq(pirn_open(&file, path, O_RDWR | O_WRONLY, 0), -EINVAL);
	check_eq(pirn_open(&file, path, O_RDWR | PIRN_O_RANDOM, 0), 0);
	check_eq(pirn_close(file), 0);
	return 0;
}

TEST(open_says_what_is_wrong)
{
	run_on(NULL, opens, NULL);
}

static uint64_t bytes_of(const char *path)
{
	struct stat st;

	must(stat(path, &st));
	return (uint64_t)st.st_size;
}

static bool stop_failing;

/* Leaves another reason on the core whenever it gets there. */
static int keep_failing(void *arg)
{
	(void)arg;
	while (!stop_failing)
		check_eq(pirn_close(NULL) | pirn_yield(), -EINVAL);
	return 0;
}

/* In a directory whose files have no direct IO the backend can use. */
static int refused_opens(void *arg)
{
	const char *dir = arg;
	char path[300], link[300], word[64] = "O_DIRECT";
	struct pirn_fiber *other;
	struct stat st;
	int err;

	snprintf(path, sizeof(path), "%s/new", dir);
	snprintf(link, sizeof(link), "%s/link", dir);
	check_eq(pirn_spawn(&other, keep_failing, NULL), 0);
	err = pirn_open(&file, path, O_RDWR | O_CREAT | O_EXCL, 0600);
	stop_failing = true;
	if (!err) {
		check_eq(pirn_close(file), 0);
		must(unlink(path));
		return 1;
	}
	if (err == -EOPNOTSUPP)
		strcpy(word, "PIRN_O_BUFFERED");
	refused(err, err == -EOPNOTSUPP ? -EOPNOTSUPP : -EINVAL, word);
	refused(err, err, path);
	check_eq(pirn_join(other, NULL), 0);
	/* it is not there, in whatever way it was to be made */
	must_fail(stat(path, &st), ENOENT);
	check_eq(pirn_open(&file, path, O_WRONLY | O_CREAT | O_TRUNC, 0400), err);
	must_fail(stat(path, &st), ENOENT);
	/* what was there is as it was */
	close(must(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600)));
	must(truncate(path, 12345));
	check_eq(pirn_open(&file, path, O_RDWR | O_CREAT | O_TRUNC, 0600), err);
	check_eq(pirn_open(&file, path, O_RDWR | O_TRUNC, 0), err);
	check_eq(pirn_open(&file, path, O_RDWR, 0), err);
	check_eq(pirn_open(&file, path, O_RDWR | O_CREAT | O_EXCL, 0600), -EEXIST);
	check_eq(bytes_of(path), 12345);
	/* through the page cache it works */
	check_eq(pirn_open(&file, path, O_RDWR | O_TRUNC | PIRN_O_BUFFERED, 0), 0);
	check_eq(pirn_size(file), 0);
	check_eq(pirn_close(file), 0);
	must(unlink(path));
	must(symlink("new", link));
	check_eq(pirn_open(&file, link, O_RDWR | O_CREAT | PIRN_O_BUFFERED, 0600), 0);
	check_eq(pirn_close(file), 0);
	must(unlink(path));
	must(unlink(link));
	return 0;
}

TEST(an_open_that_fails_changes_nothing)
{
	char dir[] = "/dev/shm/pirn-XXXXXX";
	struct statfs fs;
	int direct;

	not_simulated("it has files of one kind only");
	if (statfs("/dev/shm", &fs) || fs.f_type != TMPFS_MAGIC)
		skip_case("/dev/shm is no tmpfs");
	must(mkdtemp(dir));
	direct = run_on(NULL, refused_opens, dir);
	must(rmdir(dir));
	if (direct)
		skip_case("direct IO works there");
}

/* Where data are journaled open(2) takes O_DIRECT, and the module finds out. */
TEST(nor_does_one_the_module_refuses_later)
{
	unsigned int tries = 0;
	char dir[256];
	int direct;

	if (!in_vm() || wanted_backend() != PIRN_BACKEND_KMOD)
		skip_case("about the module, on a disk to make a file system on");
	snprintf(dir, sizeof(dir), "%s", new_path("journal"));
	must(mkdir(dir, 0700));
	check_eq(system("mkfs.ext4 -q -F /dev/nullb0"), 0);
	must(mount("/dev/nullb0", dir, "ext4", 0, "data=journal"));
	direct = run_on(NULL, refused_opens, dir);
	while (umount(dir)) {
		check_eq(errno, EBUSY);
		check_op(++tries, <, 100);
		nap_ms(50);
	}
	must(rmdir(dir));
	check_eq(direct, 0);
}

/* -ETIMEDOUT and -ECANCELED are for scopes to say. */
static int gave_up(void *arg)
{
	(void)arg;
	refused(pirn_rename("a.timed-out", "b"), -EIO, "gave up");
	refused(pirn_rename("a.timed-out", "b"), -EIO, "a.timed-out to b");
	refused(pirn_rename("a.cancelled", "b"), -EIO, "gave up");
	refused(pirn_rename("/no/such/a", "b"), -ENOENT, "/no/such/a");
	return 0;
}

TEST(a_file_system_that_gives_up_is_no_end_of_a_scope)
{
	not_simulated("about the kernel's errors");
	run_on(NULL, gave_up, NULL);
}

static int truncating(void *arg)
{
	char link[300], *path = arg;

	check_eq(pirn_open(&file, path, O_RDWR | O_CREAT | O_TRUNC, 0600), 0);
	check_eq(pirn_truncate(file, 8192), 0);
	check_eq(pirn_close(file), 0);
	refused(pirn_open(&file, path, O_RDONLY | O_TRUNC, 0), -EINVAL, "reading");
	check_eq(pirn_open(&file, path, O_RDONLY, 0), 0);
	check_eq(pirn_size(file), 8192);
	check_eq(pirn_close(file), 0);
	check_eq(pirn_open(&file, path, O_WRONLY | O_TRUNC, 0), 0);
	check_eq(pirn_size(file), 0);
	check_eq(pirn_close(file), 0);
	if (simulated())
		return 0;
	/* a link to nothing is followed, unless it must not be there */
	snprintf(link, sizeof(link), "%s-link", path);
	must(unlink(path));
	must(symlink(strrchr(path, '/') + 1, link));
	check_eq(pirn_open(&file, link, O_RDWR | O_CREAT | O_EXCL, 0600), -EEXIST);
	check_eq(pirn_open(&file, link, O_RDWR | O_CREAT, 0600), 0);
	check_eq(pirn_close(file), 0);
	check_eq(bytes_of(path), 0);
	must(unlink(link));
	return 0;
}

TEST(a_file_is_emptied_by_who_may_write)
{
	run_on(NULL, truncating, (void *)(uintptr_t)new_path("truncating"));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(open_says_what_is_wrong),
		cmocka_unit_test(an_open_that_fails_changes_nothing),
		cmocka_unit_test(nor_does_one_the_module_refuses_later),
		cmocka_unit_test(a_file_system_that_gives_up_is_no_end_of_a_scope),
		cmocka_unit_test(a_file_is_emptied_by_who_may_write),
	};

	return run_program(argc, argv, "open", tests, array_size(tests));
}
