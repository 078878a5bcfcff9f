/* SPDX-License-Identifier: MIT */
/*
 * block-uring [-e ERRNO] COMMAND [ARGUMENT...]
 *
 * Runs COMMAND where the three io_uring system calls fail, as they do under the
 * seccomp filters that container engines install; ERRNO is EPERM (default) or
 * ENOSYS. Everything else works, and children inherit it.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FIRST __NR_io_uring_setup
#define LAST __NR_io_uring_register

int main(int argc, char **argv)
{
	unsigned int err = EPERM;
	int first = 1;

	if (argc > 2 && !strcmp(argv[1], "-e")) {
		if (!strcmp(argv[2], "ENOSYS")) {
			err = ENOSYS;
		} else if (strcmp(argv[2], "EPERM")) {
			fprintf(stderr, "block-uring: -e takes EPERM or ENOSYS, not %s\n",
				argv[2]);
			return 2;
		}
		first = 3;
	}
	if (argc <= first) {
		fprintf(stderr, "block-uring: needs a command: block-uring [-e ERRNO] COMMAND...\n");
		return 2;
	}

	/* setup, enter and register are neighbours: one range, same on all ABIs */
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, FIRST, 0, 2),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, LAST, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | err),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {
		.len = sizeof(code) / sizeof(code[0]),
		.filter = code,
	};

	/*
	 * With CAP_SYS_ADMIN the filter needs no no_new_privs, which would take
	 * sudo away from the command.
	 */
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) &&
	    (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	     prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog))) {
		fprintf(stderr, "block-uring: no seccomp filter: %s\n", strerror(errno));
		return 1;
	}
	execvp(argv[first], argv + first);
	fprintf(stderr, "block-uring: %s: %s\n", argv[first], strerror(errno));
	return errno == ENOENT ? 127 : 126;
}
