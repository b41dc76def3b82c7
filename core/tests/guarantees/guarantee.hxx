#pragma once

#include <gtest/gtest.h>

#include "doubles/stepped_cluster.hxx"

/// A test of what only the core of this repository promises; README.md says why.
#ifdef GUARANTEES_OF_ANY_NURAFT
#define OWN_TEST(name) [[maybe_unused]] static void left_out_##name()
#else
#define OWN_TEST(name) TEST(guarantee, name)
#endif
