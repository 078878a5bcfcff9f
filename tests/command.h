/* SPDX-License-Identifier: MIT */
/*
 * For the programs that run the command pirn: what it printed and how it ended,
 * and its JSON read into a tree.
 */
#ifndef PIRN_TESTS_COMMAND_H
#define PIRN_TESTS_COMMAND_H

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "helpers.h"

struct output {
	int status;		/* of exit; -1: a signal */
	char out[64 * KiB];
	char err[16 * KiB];
};

/* The one this program was built with: DIR/pirn for DIR/tests/NAME. */
static inline const char *command_path(void)
{
	static char path[512];
	ssize_t n = must(readlink("/proc/self/exe", path, sizeof(path) - 8));

	path[n] = '\0';
	*strrchr(path, '/') = '\0';
	strcpy(strrchr(path, '/'), "/pirn");
	return path;
}

static inline void slurp(int fd, char *text, size_t bytes)
{
	size_t used = 0;
	ssize_t n;

	must(lseek(fd, 0, SEEK_SET));
	while ((n = must(read(fd, text + used, bytes - 1 - used))) > 0)
		used += (size_t)n;
	check_op(used, <, bytes - 1);
	text[used] = '\0';
	close(fd);
}

/* @argv ends with NULL; argv[0] is the program. */
static inline const struct output *run_program_at(char *const argv[])
{
	static struct output o;
	FILE *out = tmpfile(), *err = tmpfile();
	int status;
	pid_t pid;

	check(out && err);
	pid = must(fork());
	if (!pid) {
		/* The case may be killed for a hang of this one. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(fileno(out), 1);
		dup2(fileno(err), 2);
		execv(argv[0], argv);
		_exit(127);
	}
	must(waitpid(pid, &status, 0));
	o.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	slurp(dup(fileno(out)), o.out, sizeof(o.out));
	slurp(dup(fileno(err)), o.err, sizeof(o.err));
	fclose(out);
	fclose(err);
	return &o;
}

/* run_command("bench", "switch"): the output is good until the next one. */
#define run_command(...)                                                      \
	run_program_at((char *const[]){ (char *)command_path(), __VA_ARGS__, NULL })

/* run_command() that must end well, and say nothing on stderr. */
#define run_well(...)                                                         \
	({                                                                    \
		const struct output *well_ = run_command(__VA_ARGS__);        \
		if (well_->status || well_->err[0])                           \
			check_failed(__FILE__, __LINE__, "status %d: %s",     \
				     well_->status, well_->err);              \
		well_;                                                        \
	})

static inline unsigned int lines_of(const char *text)
{
	unsigned int lines = 0;

	for (; *text; text++)
		lines += *text == '\n';
	return lines;
}

/* A mistake: one line on stderr, which says @what, and this status. */
#define check_mistake(o_, status_, what_)                                     \
	do {                                                                  \
		const struct output *mistake_ = (o_);                         \
		if (mistake_->status != (status_) || mistake_->out[0] ||      \
		    lines_of(mistake_->err) != 1 ||                           \
		    !strstr(mistake_->err, what_))                            \
			check_failed(__FILE__, __LINE__,                      \
				     "status %d, not %d, or no '%s' in: %s%s", \
				     mistake_->status, (status_), (what_),    \
				     mistake_->out, mistake_->err);           \
	} while (0)

/* -------------------------------------------------------------------- JSON */

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json_value {
	enum json_type type;
	char *name;			/* as a member of an object */
	double number;
	char *string;
	struct json_value *first;	/* what an array or object holds */
	struct json_value *next;
};

struct json_text {
	const char *start;
	const char *at;
};

static inline void json_bad(const struct json_text *t, const char *what)
{
	check_failed(__FILE__, __LINE__, "JSON: %s at byte %zu: %.60s", what,
		     (size_t)(t->at - t->start), t->at);
}

static inline void json_space(struct json_text *t)
{
	t->at += strspn(t->at, " \t\r\n");
}

static inline bool json_take(struct json_text *t, char c)
{
	json_space(t);
	if (*t->at != c)
		return false;
	t->at++;
	return true;
}

/* Escapes are checked and, but for the quote and backslash, left as they are. */
static inline char *json_take_string(struct json_text *t)
{
	char *text = malloc(strlen(t->at) + 1), *to = text;

	check(text);
	if (!json_take(t, '"'))
		json_bad(t, "no string");
	for (; *t->at != '"'; t->at++) {
		if ((unsigned char)*t->at < ' ')
			json_bad(t, "a control character in a string");
		if (*t->at == '\\') {
			t->at++;
			if (!strchr("\"\\/bfnrtu", *t->at))
				json_bad(t, "no such escape");
			if (*t->at == 'u' && strspn(t->at + 1,
						    "0123456789abcdefABCDEF") < 4)
				json_bad(t, "no such escape");
			if (*t->at != '"' && *t->at != '\\')
				*to++ = '\\';
		}
		*to++ = *t->at;
	}
	t->at++;
	*to = '\0';
	return text;
}

static inline struct json_value *json_take_value(struct json_text *t);

static inline void json_take_members(struct json_text *t, struct json_value *v,
				     char end)
{
	struct json_value **last = &v->first;

	if (json_take(t, end))
		return;
	do {
		char *name = NULL;

		if (v->type == JSON_OBJECT) {
			json_space(t);
			name = json_take_string(t);
			if (!json_take(t, ':'))
				json_bad(t, "no colon");
		}
		*last = json_take_value(t);
		(*last)->name = name;
		last = &(*last)->next;
	} while (json_take(t, ','));
	if (!json_take(t, end))
		json_bad(t, "no end");
}

static inline struct json_value *json_take_value(struct json_text *t)
{
	struct json_value *v = calloc(1, sizeof(*v));
	char *end;

	check(v);
	json_space(t);
	if (json_take(t, '{')) {
		v->type = JSON_OBJECT;
		json_take_members(t, v, '}');
	} else if (json_take(t, '[')) {
		v->type = JSON_ARRAY;
		json_take_members(t, v, ']');
	} else if (*t->at == '"') {
		v->type = JSON_STRING;
		v->string = json_take_string(t);
	} else if (!strncmp(t->at, "null", 4)) {
		t->at += 4;
	} else if (!strncmp(t->at, "true", 4) || !strncmp(t->at, "false", 5)) {
		v->type = JSON_BOOL;
		v->number = *t->at == 't';
		t->at += v->number ? 4 : 5;
	} else {
		v->type = JSON_NUMBER;
		/* strtod() would also take +1, .5, nan and 0x1. */
		if (strspn(t->at, "-0123456789") == 0 || !strncmp(t->at, "0x", 2))
			json_bad(t, "no value");
		v->number = strtod(t->at, &end);
		t->at = end;
	}
	return v;
}

static inline void json_free(struct json_value *v)
{
	while (v) {
		struct json_value *next = v->next;

		json_free(v->first);
		free(v->name);
		free(v->string);
		free(v);
		v = next;
	}
}

/* One document, which ends at @*rest or, without it, at the end of the text. */
static inline struct json_value *json_read(const char *text, const char **rest)
{
	struct json_text t = { text, text };
	struct json_value *v = json_take_value(&t);

	json_space(&t);
	if (rest)
		*rest = t.at;
	else if (*t.at)
		json_bad(&t, "more than one value");
	return v;
}

/* A member; NULL: there is none. */
static inline struct json_value *json_find(const struct json_value *v,
					   const char *name)
{
	struct json_value *m;

	check_eq(v->type, JSON_OBJECT);
	for (m = v->first; m; m = m->next)
		if (!strcmp(m->name, name))
			return m;
	return NULL;
}

static inline struct json_value *json_member(const struct json_value *v,
					     const char *name, enum json_type type)
{
	struct json_value *m = json_find(v, name);

	if (!m || m->type != type)
		check_failed(__FILE__, __LINE__, "JSON: no \"%s\" of type %d",
			     name, (int)type);
	return m;
}

static inline double json_number_of(const struct json_value *v, const char *name)
{
	return json_member(v, name, JSON_NUMBER)->number;
}

static inline const char *json_string_of(const struct json_value *v,
					 const char *name)
{
	return json_member(v, name, JSON_STRING)->string;
}

static inline unsigned int json_count_of(const struct json_value *v)
{
	const struct json_value *m;
	unsigned int count = 0;

	for (m = v->first; m; m = m->next)
		count++;
	return count;
}

#endif /* PIRN_TESTS_COMMAND_H */
