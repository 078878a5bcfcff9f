// SPDX-License-Identifier: MIT
/* Tables of subcommands: choosing one, listing them in --help, running it. */
#include <stdlib.h>
#include <string.h>

#include "pirn_cmd.h"

void command_list(FILE *out, const struct command *table)
{
	for (; table->name; table++)
		fprintf(out, "  %-10s %s\n", table->name, table->help);
}

struct choice {
	const struct command *table;
	int index;	/* in argv; 0: none was named */
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct choice *choice = state->input;

	(void)arg;
	if (key != ARGP_KEY_ARG)
		return ARGP_ERR_UNKNOWN;
	/* What follows is the subcommand's own. */
	choice->index = state->next - 1;
	state->next = state->argc;
	return 0;
}

/* argp's own text cannot hold a table, so it is made when it is asked for. */
static char *list_in_help(int key, const char *text, void *input)
{
	const struct choice *choice = input;
	char *help;
	size_t size;
	FILE *out;

	if (key != ARGP_KEY_HELP_POST_DOC || !choice)
		return (char *)text;
	out = open_memstream(&help, &size);
	if (!out)
		return (char *)text;
	command_list(out, choice->table);
	fprintf(out, "\nEach says more when it is followed by --help.");
	fclose(out);
	return help;
}

static const struct command *find(const struct command *table, const char *name)
{
	for (; table->name; table++) {
		if (!strcmp(table->name, name))
			return table;
	}
	return NULL;
}

bool command_choose(const struct command *table, const char *args_doc,
		    const char *doc, int argc, char **argv, int *status)
{
	const struct argp argp = {
		.parser = parse,
		.args_doc = args_doc,
		.doc = doc,
		.help_filter = list_in_help,
	};
	struct choice choice = { .table = table };
	const struct command *command;
	char *name;

	args_parse(&argp, argc, argv, ARGP_IN_ORDER, &choice);
	if (!choice.index)
		return false;
	argc -= choice.index;
	argv += choice.index;
	command = find(table, argv[0]);
	if (!command)
		args_bad("knows no '%s'; %s --help lists what it knows", argv[0],
			 command_name);
	*status = EXIT_FAILED;
	if (asprintf(&name, "%s %s", command_name, command->name) < 0)
		return true;
	command_name = argv[0] = name;
	*status = command->run(argc, argv);
	free(name);
	return true;
}
