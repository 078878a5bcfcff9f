// SPDX-License-Identifier: MIT
/* pirn sim: the program, once for each seed, several at a time. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../lib/sim_report.h"
#include "sim.h"

struct slot {
	pid_t pid;			/* 0: free */
	uint64_t seed;
	uint64_t deadline;
	bool hung;
	char report[96];
};

static uint64_t clock_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

const char *sim_path(const struct sim_job *job, const char *name)
{
	static char path[96];

	snprintf(path, sizeof(path), "%s/%s", job->dir, name);
	return path;
}

const char *sim_end_text(const struct sim_job *job,
			 const struct sim_outcome *outcome)
{
	static char text[64];

	if (outcome->hung)
		snprintf(text, sizeof(text), "killed after %u s", job->seconds);
	else if (WIFSIGNALED(outcome->status))
		snprintf(text, sizeof(text), "signal %d (%s)",
			 WTERMSIG(outcome->status),
			 strsignal(WTERMSIG(outcome->status)));
	else
		snprintf(text, sizeof(text), "exit status %d",
			 WEXITSTATUS(outcome->status));
	return text;
}

void sim_faults_text(const struct pirn_sim_rate *fault, char *text)
{
	char *end = text;
	int i;

	*text = '\0';
	for (i = 0; i < PIRN_SIM_FAULTS; i++) {
		if (!fault[i].rate)
			continue;
		end += sprintf(end, "%s%s:%u", end == text ? "" : "+",
			       pirn_sim_fault_name((enum pirn_sim_fault)i),
			       fault[i].rate);
		if (fault[i].most)
			end += sprintf(end, ":%u", fault[i].most);
	}
}

/* ------------------------------------------------------------------ a run */

static int setting(const struct sim_job *job, uint64_t seed,
		   const struct pirn_sim_rate *fault, const char *report,
		   const char *log, char **text)
{
	char faults[1024];

	sim_faults_text(fault, faults);
	return asprintf(text, "%s%sseed=%llu,faults=%s,report=%s,log=%s",
			job->base, *job->base ? "," : "",
			(unsigned long long)seed, faults, report,
			log ? log : "") < 0 ? -ENOMEM : 0;
}

/* In the child. */
static void become(const struct sim_job *job, const char *text,
		   const char *output, int told)
{
	sigset_t none;
	int fd, err;

	/* What it starts is killed with it; and it with this process. */
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	fd = open("/dev/null", O_RDONLY);
	dup2(fd, STDIN_FILENO);
	fd = open(output, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	setenv("PIRN_SIM", text, 1);
	execvp(job->argv[0], job->argv);
	err = errno;
	if (write(told, &err, sizeof(err)) < 0)
		_exit(126);
	_exit(127);
}

static int start(struct sim_job *job, struct slot *slot,
		 const struct pirn_sim_rate *fault, const char *output,
		 const char *log)
{
	int told[2], err;
	char *text;

	unlink(slot->report);
	err = setting(job, slot->seed, fault, slot->report, log, &text);
	if (err)
		return err;
	if (pipe2(told, O_CLOEXEC)) {
		free(text);
		return -errno;
	}
	slot->hung = false;
	slot->deadline = clock_now() + job->seconds * 1000000000ull;
	slot->pid = fork();
	if (!slot->pid)
		become(job, text, output, told[1]);
	err = slot->pid < 0 ? -errno : 0;
	if (err)
		slot->pid = 0;
	free(text);
	close(told[1]);
	/* Its end closes with the exec. */
	if (!err && read(told[0], &err, sizeof(err)) == sizeof(err)) {
		waitpid(slot->pid, NULL, 0);
		slot->pid = 0;
		err = -err;
	} else {
		err = err < 0 ? err : 0;
	}
	close(told[0]);
	return err;
}

static void read_report(const struct slot *slot, struct sim_outcome *outcome)
{
	struct sim_report report;
	int fd = open(slot->report, O_RDONLY | O_CLOEXEC), i;

	if (fd < 0)
		return;
	if (read(fd, &report, sizeof(report)) == sizeof(report) &&
	    report.version == SIM_REPORT_VERSION) {
		outcome->worlds = report.worlds;
		outcome->hash = report.hash;
		outcome->before = report.before;
		outcome->events = report.events;
		for (i = 0; i < PIRN_SIM_FAULTS; i++)
			outcome->injected[i] = report.injected[i];
	}
	close(fd);
}

/* Whether it has ended; kills it when its time is over. */
static bool ended(struct slot *slot, struct sim_outcome *outcome)
{
	int status;

	if (waitpid(slot->pid, &status, WNOHANG) != slot->pid) {
		if (!slot->hung && clock_now() > slot->deadline) {
			slot->hung = true;
			kill(-slot->pid, SIGKILL);
			kill(slot->pid, SIGKILL);
		}
		return false;
	}
	memset(outcome, 0, sizeof(*outcome));
	outcome->status = status;
	outcome->hung = slot->hung;
	/* What it left behind. */
	kill(-slot->pid, SIGKILL);
	slot->pid = 0;
	read_report(slot, outcome);
	return true;
}

/* Until a child ends, or a while has passed. */
static void wait_child(void)
{
	const struct timespec while_ = { .tv_nsec = 100000000 };
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigtimedwait(&child, NULL, &while_);
}

int sim_run_one(struct sim_job *job, uint64_t seed,
		const struct pirn_sim_rate *fault, bool log,
		struct sim_outcome *outcome)
{
	struct slot slot = { .seed = seed };
	char log_path[96], output[96];
	int err;

	snprintf(slot.report, sizeof(slot.report), "%s",
		 sim_path(job, "report"));
	snprintf(log_path, sizeof(log_path), "%s", sim_path(job, "log"));
	snprintf(output, sizeof(output), "%s", sim_path(job, "output"));
	unlink(log_path);
	err = start(job, &slot, fault, output, log ? log_path : NULL);
	if (err)
		return err;
	while (!ended(&slot, outcome))
		wait_child();
	return 0;
}

/* -------------------------------------------------------------- all of them */

struct search {
	struct sim_job *job;
	struct slot *slot;
	uint64_t next;			/* seeds started */
	uint64_t done;
	uint64_t end;			/* none from this on is of interest */
	bool found;
	struct sim_outcome outcome;	/* of seed `end`, when found */
	uint64_t told;			/* when progress was last shown */
	bool tty;
};

static void progress(struct search *s)
{
	uint64_t now = clock_now();

	if (now - s->told < (s->tty ? 100000000ull : 10000000000ull))
		return;
	s->told = now;
	fprintf(stderr, s->tty ? "\r%llu of %llu seeds" : "%llu of %llu seeds\n",
		(unsigned long long)s->done, (unsigned long long)s->job->seeds);
}

static int reap(struct search *s, unsigned int *running)
{
	struct sim_outcome outcome;
	unsigned int i;

	*running = 0;
	for (i = 0; i < s->job->jobs; i++) {
		struct slot *slot = &s->slot[i];

		if (!slot->pid)
			continue;
		if (!ended(slot, &outcome)) {
			++*running;
			continue;
		}
		s->done++;
		if (!outcome.worlds && !sim_failed(&outcome)) {
			complain("%s made no simulated world: does it call pirn_run() with the backend auto or sim?",
				 s->job->argv[0]);
			return -ENOEXEC;
		}
		if (sim_failed(&outcome) && slot->seed < s->end) {
			s->end = slot->seed;
			s->found = true;
			s->outcome = outcome;
		}
	}
	return 0;
}

/* Those after a seed that failed do not matter any more. */
static void drop_later(struct search *s)
{
	unsigned int i;

	for (i = 0; i < s->job->jobs; i++) {
		struct slot *slot = &s->slot[i];

		if (!slot->pid || slot->seed < s->end)
			continue;
		kill(-slot->pid, SIGKILL);
		kill(slot->pid, SIGKILL);
		waitpid(slot->pid, NULL, 0);
		slot->pid = 0;
	}
}

static int start_more(struct search *s)
{
	unsigned int i;

	for (i = 0; i < s->job->jobs; i++) {
		struct slot *slot = &s->slot[i];
		int err;

		if (slot->pid || s->next >= s->end)
			continue;
		slot->seed = s->next++;
		err = start(s->job, slot, s->job->options.fault, "/dev/null",
			    NULL);
		if (err) {
			complain("%s: %s", s->job->argv[0], strerror(-err));
			return err;
		}
	}
	return 0;
}

int sim_run_all(struct sim_job *job, uint64_t *seed,
		struct sim_outcome *outcome)
{
	struct search s = {
		.job = job, .next = job->first,
		.end = job->first + job->seeds, .told = clock_now(),
		.tty = isatty(STDERR_FILENO),
	};
	unsigned int i, running = 0;
	int err = 0;

	s.slot = calloc(job->jobs, sizeof(*s.slot));
	if (!s.slot)
		return -ENOMEM;
	for (i = 0; i < job->jobs; i++)
		snprintf(s.slot[i].report, sizeof(s.slot[i].report), "%s/%u",
			 job->dir, i);
	while (!err && (s.next < s.end || running)) {
		err = start_more(&s);
		if (!err)
			err = reap(&s, &running);
		drop_later(&s);
		progress(&s);
		if (running == job->jobs || s.next >= s.end)
			wait_child();
	}
	if (err) {
		s.end = 0;
		drop_later(&s);
	}
	if (s.tty)
		fputs("\r\033[K", stderr);
	free(s.slot);
	*seed = s.end;
	*outcome = s.outcome;
	return err ? err : s.found;
}
