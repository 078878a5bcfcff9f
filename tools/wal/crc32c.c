// SPDX-License-Identifier: MIT
/*
 * CRC32C (RFC 3720, appendix B.4): the processor's instruction where it has one,
 * else eight bytes at a time from tables (Kounavis and Berry, 2005).
 */
#include <endian.h>
#include <string.h>

#include "format.h"

#if defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
#endif

#define POLYNOMIAL 0x82f63b78u	/* bits reflected */

static uint32_t table[8][256];

static void __attribute__((constructor)) make_tables(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t crc = i;

		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ POLYNOMIAL : crc >> 1;
		table[0][i] = crc;
	}
	for (int n = 1; n < 8; n++)
		for (int i = 0; i < 256; i++)
			table[n][i] = table[n - 1][i] >> 8 ^
				      table[0][table[n - 1][i] & 255];
}

static uint32_t by_tables(uint32_t crc, const unsigned char *p, size_t bytes)
{
	uint64_t word;

	for (; bytes >= 8; p += 8, bytes -= 8) {
		memcpy(&word, p, 8);
		word = le64toh(word) ^ crc;
		crc = 0;
		for (int n = 0; n < 8; n++)
			crc ^= table[7 - n][word >> 8 * n & 255];
	}
	for (; bytes; bytes--)
		crc = crc >> 8 ^ table[0][(crc ^ *p++) & 255];
	return crc;
}

#if defined(__x86_64__)
static uint32_t __attribute__((target("sse4.2")))
by_instruction(uint32_t crc, const unsigned char *p, size_t bytes)
{
	uint64_t word;

	for (; bytes >= 8; p += 8, bytes -= 8) {
		memcpy(&word, p, 8);
		crc = (uint32_t)__builtin_ia32_crc32di(crc, word);
	}
	for (; bytes; bytes--)
		crc = __builtin_ia32_crc32qi(crc, *p++);
	return crc;
}
#elif defined(__ARM_FEATURE_CRC32)
static uint32_t by_instruction(uint32_t crc, const unsigned char *p, size_t bytes)
{
	uint64_t word;

	for (; bytes >= 8; p += 8, bytes -= 8) {
		memcpy(&word, p, 8);
		crc = __crc32cd(crc, word);
	}
	for (; bytes; bytes--)
		crc = __crc32cb(crc, *p++);
	return crc;
}
#endif

uint32_t wal_crc32c_by_tables(uint32_t crc, const void *data, size_t bytes)
{
	return ~by_tables(~crc, data, bytes);
}

uint32_t wal_crc32c(uint32_t crc, const void *data, size_t bytes)
{
#if defined(__x86_64__)
	if (__builtin_cpu_supports("sse4.2"))
		return ~by_instruction(~crc, data, bytes);
#elif defined(__ARM_FEATURE_CRC32)
	return ~by_instruction(~crc, data, bytes);
#endif
	return wal_crc32c_by_tables(crc, data, bytes);
}
