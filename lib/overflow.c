// SPDX-License-Identifier: MIT
/*
 * PIRN_REPORT_OVERFLOW: one line about a fiber that ran into its guard.
 *
 * Signal handlers belong to the process, so this file has what the rest of the
 * library does without: state of the process.  The handler is installed when the
 * first runtime that asks for it starts, and the one before put back when the
 * last ends.  If someone has put theirs above it meanwhile it stays, below, and
 * passes on what comes.
 *
 * The handler runs on the core's alternate stack, because there is nothing left
 * of the fiber's.  It reads what the core's own thread wrote, and calls nothing
 * that is not async-signal-safe: the text is made by hand, the places where
 * programs are loaded are noted when it starts, for a symbol cannot be looked up
 * safely, while addr2line takes FILE and an offset.
 */
#include <link.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib.h"

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

#define OBJECTS		64

/* Where a program or library is: written before the handler is installed. */
struct object {
	uintptr_t base;			/* what addr2line counts from */
	uintptr_t low, high;
	char name[96];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned int users;		/* runtimes, under lock */
static bool buried;			/* under lock: below someone else's, or was */
static struct sigaction before;		/* whose turn is after ours */
static struct object objects[OBJECTS];
static unsigned int object_count;

/* ------------------------------------------------------------- the handler */

struct line {
	char text[640];
	size_t used;
};

static void add_text(struct line *line, const char *text)
{
	while (*text && line->used < sizeof(line->text))
		line->text[line->used++] = *text++;
}

static void add_number(struct line *line, uintptr_t value, unsigned int base)
{
	char digits[24];
	unsigned int n = sizeof(digits);

	digits[--n] = '\0';
	do {
		digits[--n] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	if (base == 16)
		add_text(line, "0x");
	add_text(line, &digits[n]);
}

/* "name" (FILE+0x1234), or either. */
static void add_fiber(struct line *line, const struct pirn_core *core,
		      const struct pirn_fiber *fiber)
{
	uintptr_t entry = (uintptr_t)fiber->fn;

	/* The first fiber's function is a wrapper of ours. */
	if (fiber->arg == core->rt)
		entry = (uintptr_t)core->rt->main_fn;
	if (fiber->name) {
		add_text(line, "\"");
		add_text(line, fiber->name);
		add_text(line, "\" ");
	}
	add_text(line, "with the function ");
	add_number(line, entry, 16);
	for (unsigned int i = 0; i < object_count; i++) {
		if (entry < objects[i].low || entry >= objects[i].high)
			continue;
		add_text(line, " (");
		add_text(line, objects[i].name);
		add_text(line, "+");
		add_number(line, entry - objects[i].base, 16);
		add_text(line, ")");
	}
}

static void report(const struct pirn_core *core,
		   const struct pirn_fiber *owner, uintptr_t at)
{
	const struct pirn_fiber *self = core->current;
	struct line line = { .used = 0 };
	ssize_t written;

	add_text(&line, owner == self ? "pirn: stack overflow on core " :
					"pirn: another fiber's stack guard was hit on core ");
	add_number(&line, core->index, 10);
	add_text(&line, ", fiber ");
	add_fiber(&line, core, self);
	add_text(&line, ", at ");
	add_number(&line, at, 16);
	if (owner == self) {
		add_text(&line, ": its stack of ");
		add_number(&line, core->rt->opt.stack_bytes, 10);
		add_text(&line, " bytes is used up; raise pirn_options.stack_bytes");
	} else {
		add_text(&line, ": below the stack of the fiber ");
		add_fiber(&line, core, owner);
	}
	if (line.used == sizeof(line.text))
		line.used--;
	line.text[line.used++] = '\n';
	written = write(STDERR_FILENO, line.text, line.used);
	(void)written;
}

/* As if this handler were not there. */
static void pass_on(int sig, siginfo_t *info, void *context)
{
	struct sigaction was = before, dfl = { .sa_handler = SIG_DFL };
	sigset_t mask;

	/* Ignoring works for one that was sent; a fault kills. */
	if (was.sa_handler == SIG_IGN && info->si_code <= 0)
		return;
	if (was.sa_handler == SIG_DFL || was.sa_handler == SIG_IGN) {
		sigaction(sig, &dfl, NULL);
		/* A fault comes again by itself, one that was sent does not. */
		if (info->si_code <= 0)
			syscall(SYS_rt_tgsigqueueinfo, getpid(),
				(pid_t)syscall(SYS_gettid), sig, info);
		return;
	}
	if (was.sa_flags & (int)SA_RESETHAND) {
		before.sa_handler = SIG_DFL;
	}
	/* On return the mask is what it was when the signal came. */
	pthread_sigmask(SIG_BLOCK, &was.sa_mask, NULL);
	if (was.sa_flags & SA_NODEFER && sigismember(&was.sa_mask, sig) != 1) {
		sigemptyset(&mask);
		sigaddset(&mask, sig);
		pthread_sigmask(SIG_UNBLOCK, &mask, NULL);
	}
	if (was.sa_flags & SA_SIGINFO)
		was.sa_sigaction(sig, info, context);
	else
		was.sa_handler(sig);
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
	const struct pirn_core *core = pirn_this();
	uintptr_t at = (uintptr_t)info->si_addr;
	const struct pirn_fiber *owner;
	int error = errno;

	/* One sent by kill() has no address. */
	if (core && core->current && info->si_code > 0) {
		owner = pirn_stack_of_guard(core, at);
		if (owner)
			report(core, owner, at);
	}
	pass_on(sig, info, context);
	errno = error;
}

/* ---------------------------------------------------------- of the process */

static int note_object(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct object *object = &objects[object_count];
	const char *path = info->dlpi_name, *slash;
	char self[256];
	ssize_t n;

	(void)size;
	(void)arg;
	if (object_count == OBJECTS)
		return 1;
	if (!path || !path[0]) {
		n = readlink("/proc/self/exe", self, sizeof(self) - 1);
		self[n > 0 ? n : 0] = '\0';
		path = self;
	}
	slash = strrchr(path, '/');
	snprintf(object->name, sizeof(object->name), "%.95s",
		 slash ? slash + 1 : path);
	object->base = info->dlpi_addr;
	object->low = UINTPTR_MAX;
	object->high = 0;
	for (unsigned int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		uintptr_t low = info->dlpi_addr + ph->p_vaddr;

		if (ph->p_type != PT_LOAD || !(ph->p_flags & PF_X))
			continue;
		if (low < object->low)
			object->low = low;
		if (low + ph->p_memsz > object->high)
			object->high = low + ph->p_memsz;
	}
	object_count++;
	return 0;
}

static bool is_ours(const struct sigaction *act)
{
	return act->sa_flags & SA_SIGINFO && act->sa_sigaction == on_fault;
}

static bool same(const struct sigaction *a, const struct sigaction *b)
{
	return a->sa_handler == b->sa_handler;
}

int pirn_overflow_start(char *why, size_t why_bytes)
{
	struct sigaction ours = {
		.sa_sigaction = on_fault,
		.sa_flags = SA_SIGINFO | SA_ONSTACK,
	};
	struct sigaction now;
	int err = 0;

	sigemptyset(&ours.sa_mask);
	pthread_mutex_lock(&lock);
	if (users)
		goto out;
	if (sigaction(SIGSEGV, NULL, &now)) {
		err = -errno;
		goto out;
	}
	/* Where it was left below another that still calls it, it still is. */
	if (is_ours(&now) || (buried && !same(&now, &before)))
		goto out;
	object_count = 0;
	dl_iterate_phdr(note_object, NULL);
	before = now;
	if (sigaction(SIGSEGV, &ours, NULL))
		err = -errno;
out:
	if (!err)
		users++;
	else
		snprintf(why, why_bytes, "no handler for SIGSEGV: %s",
			 strerror(-err));
	pthread_mutex_unlock(&lock);
	return err;
}

void pirn_overflow_stop(void)
{
	struct sigaction now;

	pthread_mutex_lock(&lock);
	if (!--users && !sigaction(SIGSEGV, NULL, &now)) {
		buried = !is_ours(&now);
		if (!buried)
			sigaction(SIGSEGV, &before, NULL);
	}
	pthread_mutex_unlock(&lock);
}

/* ------------------------------------------------------- of a core's thread */

int pirn_overflow_core_start(struct pirn_core *core, char *why,
			     size_t why_bytes)
{
	/* With room for a handler that is called on from here. */
	size_t bytes = getauxval(AT_MINSIGSTKSZ) + (64u << 10);
	stack_t have, stack = { .ss_flags = 0 };

	/* A tool may have made one for this thread already. */
	if (!sigaltstack(NULL, &have) && !(have.ss_flags & SS_DISABLE))
		return 0;
	bytes = (bytes + (64u << 10) - 1) & ~(size_t)((64u << 10) - 1);
	stack.ss_sp = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (stack.ss_sp == MAP_FAILED) {
		snprintf(why, why_bytes, "no memory for a signal stack: %s",
			 strerror(errno));
		return -ENOMEM;
	}
	stack.ss_size = bytes;
	if (sigaltstack(&stack, NULL)) {
		int err = -errno;

		snprintf(why, why_bytes, "no signal stack: %s", strerror(-err));
		munmap(stack.ss_sp, bytes);
		return err;
	}
	core->signal_stack = stack.ss_sp;
	core->signal_stack_bytes = bytes;
	return 0;
}

void pirn_overflow_core_stop(struct pirn_core *core)
{
	stack_t have, none = { .ss_flags = SS_DISABLE };

	if (!core->signal_stack)
		return;
	/* Of a thread that goes on, where one runs several cores. */
	if (!sigaltstack(NULL, &have) && have.ss_sp == core->signal_stack)
		sigaltstack(&none, NULL);
	munmap(core->signal_stack, core->signal_stack_bytes);
	core->signal_stack = NULL;
}
