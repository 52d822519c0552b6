/* SPDX-License-Identifier: MIT */
#include <postern/auth_results.h>
