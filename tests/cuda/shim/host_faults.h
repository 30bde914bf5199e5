// Faults that are chosen when a program runs, for tests/cuda/kernels/mutate.py: `a < b` is written as `a < faults::At{7} < b`, which is
// `a <= b` in a run with KERNEL_FAULT=7 and `a < b` in every other. So one program holds all faults of a kernel.
#pragma once
#include <cstdlib>

namespace faults {
inline const int chosen = getenv("KERNEL_FAULT") ? atoi(getenv("KERNEL_FAULT")) : -1;
struct At { int number; };
template <class T> struct Left {
    T value;
    bool faulty;
};
// `op` as written, and what stands in its place in the faulty run. The marker keeps precedence and order as they were.
#define FAULTS_OPERATOR(op, other)                                                                                           \
    template <class T> Left<T> operator op(T value, At at) { return {value, at.number == chosen}; }                          \
    template <class T, class U> auto operator op(Left<T> left, U right)->decltype(left.value op right) {                     \
        return left.faulty ? left.value other right : left.value op right;                                                   \
    }
FAULTS_OPERATOR(<, <=)
FAULTS_OPERATOR(<=, <)
FAULTS_OPERATOR(>, >=)
FAULTS_OPERATOR(>=, >)
FAULTS_OPERATOR(==, !=)
FAULTS_OPERATOR(!=, ==)
FAULTS_OPERATOR(+, -)
FAULTS_OPERATOR(-, +)
FAULTS_OPERATOR(*, +)
FAULTS_OPERATOR(/, *)
FAULTS_OPERATOR(%, /)
#undef FAULTS_OPERATOR
// `a += At{7} += b`: `a = b` in the faulty run; a pointer then stays where it is.
template <class U> Left<U> operator+=(At at, U right) { return {right, at.number == chosen}; }
template <class T, class U> T &operator+=(T &to, Left<U> right) { return right.faulty ? to = right.value : to += right.value; }
template <class T, class U> T *&operator+=(T *&to, Left<U> right) { return right.faulty ? to : to += right.value; }
inline bool not_in(int number) { return number != chosen; }
inline int choose(int number, int value, int other) { return number == chosen ? other : value; }
} // namespace faults
