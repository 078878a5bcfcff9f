// SPDX-License-Identifier: MIT
/* Writing JSON (RFC 8259). */
#include <math.h>
#include <stdlib.h>

#include "json.h"

static void print_string(FILE *out, const char *text)
{
	putc('"', out);
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			fprintf(out, "\\%c", c);
		else if (c < ' ')
			fprintf(out, "\\u%04x", c);
		else
			putc(c, out);
	}
	putc('"', out);
}

/* What stands before a value: a comma, and its name. */
static void begin(struct json *json, const char *name)
{
	if (json->some[json->depth])
		fputs(", ", json->out);
	json->some[json->depth] = true;
	if (!name)
		return;
	print_string(json->out, name);
	fputs(": ", json->out);
}

void json_open(struct json *json, const char *name, char bracket)
{
	begin(json, name);
	if (json->depth == JSON_DEPTH)
		abort();
	putc(bracket, json->out);
	json->close[json->depth++] = bracket == '{' ? '}' : ']';
	json->some[json->depth] = false;
}

void json_close(struct json *json)
{
	putc(json->close[--json->depth], json->out);
	if (json->depth)
		return;
	putc('\n', json->out);
	json->some[0] = false;
}

void json_string(struct json *json, const char *name, const char *value)
{
	begin(json, name);
	if (value)
		print_string(json->out, value);
	else
		fputs("null", json->out);
}

void json_number(struct json *json, const char *name, double value)
{
	begin(json, name);
	if (isfinite(value))
		fprintf(json->out, "%.6g", value);
	else
		fputs("null", json->out);
}

void json_count(struct json *json, const char *name, uint64_t value)
{
	begin(json, name);
	fprintf(json->out, "%llu", (unsigned long long)value);
}

void json_bool(struct json *json, const char *name, bool value)
{
	begin(json, name);
	fputs(value ? "true" : "false", json->out);
}
