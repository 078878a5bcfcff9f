/* SPDX-License-Identifier: MIT */
/*
 * Memory as x86 has it: each thread's stores go through a buffer, first in first
 * out, and reach memory at any later moment; loads go to memory. (A load that
 * meets an own buffered store takes that; no thread here looks at a word that it
 * has stored without a fence between.) A locked instruction waits until the
 * buffer is empty and is one step.
 *
 * Included after WORDS and THREADS, how many there are of each. A thread is known
 * by the number t.
 */
byte memory[WORDS];
chan buffer[THREADS] = [3] of { byte, byte };

inline store(t, word, value) { buffer[t] ! word, value }
inline fence(t) { empty(buffer[t]) }
inline exchange(t, word, value, old)
{
	atomic {
		empty(buffer[t]) ->
		old = memory[word];
		memory[word] = value
	}
}

inline lock(t, word)
{
	atomic { empty(buffer[t]) && memory[word] == 0 -> memory[word] = 1 }
}
inline unlock(t, word) { store(t, word, 0) }

active [THREADS] proctype drain()
{
	byte word, value;
end:
	do
	:: atomic { buffer[_pid] ? word, value -> memory[word] = value }
	od
}
