// SPDX-License-Identifier: MIT
/*
 * Command lines.  A mistake gets one line that says what was wrong and what
 * would be right, and exit status 2; argp alone would print two lines and
 * leave with 64.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pirn_cmd.h"

static void say(const char *format, va_list args)
{
	fprintf(stderr, "%s: ", command_name);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
}

void complain(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(format, args);
	va_end(args);
}

void args_bad(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(format, args);
	va_end(args);
	exit(EXIT_USAGE);
}

/* The option that @word, as in "--name" or "--name=value", can only mean. */
static const struct argp_option *option_of(const struct argp *argp,
					   const char *word)
{
	const struct argp_option *o, *found = NULL;
	size_t len;

	if (strncmp(word, "--", 2) != 0)
		return NULL;
	word += 2;
	len = strcspn(word, "=");
	for (o = argp->options; o && (o->name || o->key); o++) {
		if (!o->name || strncmp(o->name, word, len) != 0)
			continue;
		if (strlen(o->name) == len)
			return o;
		if (found)
			return NULL;
		found = o;
	}
	return found;
}

/* The option at the end of a cluster: only a last one can lack its value. */
static const struct argp_option *short_option_of(const struct argp *argp,
						 const char *word)
{
	const struct argp_option *o;

	if (word[0] != '-' || word[1] == '-' || !word[1])
		return NULL;
	for (o = argp->options; o && (o->name || o->key); o++)
		if (o->key == (unsigned char)word[strlen(word) - 1])
			return o;
	return NULL;
}

static void __attribute__((noreturn))
bad_option(const struct argp *argp, const struct argp_state *state)
{
	const char *word = state->argv[state->next - 1];
	const struct argp_option *o;

	/* getopt stays on a cluster of short options until it is through. */
	if (word[0] != '-' && state->next < state->argc)
		word = state->argv[state->next];
	o = option_of(argp, word);
	if (o && o->arg && !strchr(word, '='))
		args_bad("--%s needs a value, as in --%s=%s", o->name, o->name,
			 o->arg);
	if (o && !o->arg && strchr(word, '='))
		args_bad("--%s takes no value", o->name);
	o = short_option_of(argp, word);
	if (o && o->arg)
		args_bad("-%c needs a value, as in -%c %s", o->key, o->key, o->arg);
	args_bad("unknown option '%s'; %s --help lists them", word, command_name);
}

/*
 * Stands around a command's own argp.  ARGP_NO_ERRS keeps getopt and argp from
 * printing mistakes, and with them the built-in --help: hence one of our own.
 */
static const struct argp_option common_options[] = {
	{ "help", '?', NULL, 0, "Give this help list", -1 },
	{ "version", 'V', NULL, 0, "Print program version", -1 },
	{ NULL, 0, NULL, 0, NULL, 0 }
};

struct wrapped {
	const struct argp *argp;
	void *input;
};

static error_t parse_common(int key, char *arg, struct argp_state *state)
{
	struct wrapped *w = state->input;

	(void)arg;
	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = w->input;
		return 0;
	case ARGP_KEY_ERROR:
		bad_option(w->argp, state);
	case '?':
		state->flags &= ~(unsigned int)ARGP_NO_ERRS;
		argp_state_help(state, stdout, ARGP_HELP_STD_HELP);
		exit(0);
	case 'V':
		puts("pirn " PIRN_VERSION);
		exit(0);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

void args_parse(const struct argp *argp, int argc, char **argv,
		unsigned int flags, void *input)
{
	struct wrapped w = { argp, input };
	const struct argp_child children[] = { { argp, 0, NULL, 0 }, { 0 } };
	const struct argp wrapper = {
		.options = common_options,
		.parser = parse_common,
		.children = children,
	};
	int err;

	argp_err_exit_status = EXIT_USAGE;
	err = argp_parse(&wrapper, argc, argv,
			 flags | ARGP_NO_ERRS | ARGP_NO_HELP, NULL, &w);
	if (err) {
		complain("reading the command line: %s", strerror(err));
		exit(err == EINVAL ? EXIT_USAGE : EXIT_FAILED);
	}
}

static unsigned int shift_of(const char *unit)
{
	if (!unit[0] || unit[1])
		return unit[0] ? 64 : 0;
	switch (unit[0]) {
	case 'K':
	case 'k':
		return 10;
	case 'M':
		return 20;
	case 'G':
		return 30;
	default:
		return 64;
	}
}

uint64_t args_number(const char *name, const char *text, uint64_t least,
		     uint64_t most)
{
	unsigned long long n;
	unsigned int shift;
	char *end;

	errno = 0;
	n = strtoull(text, &end, 10);
	shift = shift_of(end);
	/* strtoull() would take blanks and a sign, and -1 as a huge number. */
	if (text[0] < '0' || text[0] > '9' || errno || shift == 64 ||
	    n > UINT64_MAX >> shift || n << shift < least || n << shift > most)
		args_bad("--%s is a number from %llu to %llu, not '%s'", name,
			 (unsigned long long)least, (unsigned long long)most, text);
	return n << shift;
}

enum pirn_backend args_backend(const char *text)
{
	enum pirn_backend b;

	for (b = PIRN_BACKEND_AUTO; b < PIRN_BACKEND_LAST; b++) {
		if (!strcmp(pirn_backend_name(b), text))
			return b;
	}
	args_bad("--backend is auto, kmod, uring, aio or sim, not '%s'", text);
}

int args_run_failed(int err, const char *message)
{
	complain("%s", message[0] ? message : strerror(-err));
	return err == -EINVAL ? EXIT_USAGE : EXIT_FAILED;
}
