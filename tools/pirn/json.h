/* SPDX-License-Identifier: MIT */
/*
 * JSON, written as it is made: the caller opens and closes what nests, and the
 * commas come by themselves.  A member of an object has a name; an element of an
 * array has NULL for it.
 */
#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define JSON_DEPTH 8	/* how deep brackets nest, at most */

struct json {
	FILE *out;
	unsigned int depth;
	bool some[JSON_DEPTH + 1];	/* at this depth something was written */
	char close[JSON_DEPTH];		/* the bracket that ends it */
};

/* @bracket is '{' or '['. */
void json_open(struct json *json, const char *name, char bracket);
void json_close(struct json *json);
/* NULL becomes null. */
void json_string(struct json *json, const char *name, const char *value);
/* What is not finite becomes null: JSON has no word for it. */
void json_number(struct json *json, const char *name, double value);
void json_count(struct json *json, const char *name, uint64_t value);
void json_bool(struct json *json, const char *name, bool value);

#endif /* JSON_H */
