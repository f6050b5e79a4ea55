// SPDX-FileCopyrightText: 2026 the relloc_ros authors
// SPDX-License-Identifier: Apache-2.0
//
// Mutual nearest descriptors that pass the ratio test, as in mutual_ratio.py, which does without
// this where it is not compiled.
//
// Scalar products of a few descriptors of the query with as many of the map image as the processor
// has lanes are made in registers and judged there. NumPy has to write them to memory, to go over
// them several times, and to hold the interpreter in between.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <vector>

namespace {

constexpr int kRows = 8;
constexpr float kLeast = -std::numeric_limits<float>::infinity();

// Rows of `dimension` numbers.
struct Descriptors {
  const float* values;
  std::int64_t count;
  std::int64_t dimension;

  const float* row(std::int64_t index) const { return values + index * dimension; }
};

struct Limits {
  float squared_ratio;
  float rounding;

  bool pass(float best, float next_best) const {
    return std::max(1.0f - best, rounding) <= squared_ratio * std::max(1.0f - next_best, rounding);
  }
};

// The two nearest of the map image to a descriptor of the query. Of equal ones the first counts.
struct Nearest {
  float best = kLeast, next_best = kLeast;
  std::int64_t nearest = std::numeric_limits<std::int64_t>::max(), second = nearest;
  bool is_mutual = false;

  void take(float product, std::int64_t index) {
    if (product > best || (product == best && index < nearest)) {
      next_best = best;
      second = nearest;
      best = product;
      nearest = index;
    } else if (product > next_best || (product == next_best && index < second)) {
      next_best = product;
      second = index;
    }
  }
};

// GCC wants to know the size of vectors that it takes apart.
template <int kLanes>
struct Vectors;
template <>
struct Vectors<4> {
  typedef float Floats __attribute__((vector_size(16)));
  typedef std::int32_t Numbers __attribute__((vector_size(16)));
};
template <>
struct Vectors<8> {
  typedef float Floats __attribute__((vector_size(32)));
  typedef std::int32_t Numbers __attribute__((vector_size(32)));
};
template <>
struct Vectors<16> {
  typedef float Floats __attribute__((vector_size(64)));
  typedef std::int32_t Numbers __attribute__((vector_size(64)));
};

template <int kLanes>
__attribute__((always_inline)) inline void search_lanes(const Descriptors& query,
                                                        const Descriptors& reference,
                                                        std::vector<Nearest>& found) {
  using Floats = typename Vectors<kLanes>::Floats;
  using Numbers = typename Vectors<kLanes>::Numbers;
  const std::int64_t dimension = reference.dimension;
  const std::int64_t tiles = (reference.count + kLanes - 1) / kLanes;
  // Tiles of descriptors side by side, and behind them the best product of each.
  std::vector<float> memory((tiles * (dimension + 1) + 1) * kLanes);
  void* aligned = memory.data();
  std::size_t space = memory.size() * sizeof(float);
  std::align(sizeof(Floats), sizeof(Floats), aligned, space);
  Floats* const packed = static_cast<Floats*>(aligned);
  Floats* const best_of_reference = packed + tiles * dimension;
  for (std::int64_t tile = 0; tile < tiles; ++tile) {
    float* const to = reinterpret_cast<float*>(packed + tile * dimension);
    for (int lane = 0; lane < kLanes; ++lane) {
      const float* const from = reference.row(std::min(tile * kLanes + lane, reference.count - 1));
      for (std::int64_t k = 0; k < dimension; ++k) to[k * kLanes + lane] = from[k];
    }
    best_of_reference[tile] = Floats{} + kLeast;
  }
  found.assign(query.count, Nearest());
  for (std::int64_t i = 0; i < query.count; i += kRows) {
    const float* rows[kRows];
    Floats best[kRows], next_best[kRows];
    Numbers nearest[kRows], second[kRows];  // tiles
    for (int r = 0; r < kRows; ++r) {
      rows[r] = query.row(std::min(i + r, query.count - 1));
      best[r] = next_best[r] = Floats{} + kLeast;
      nearest[r] = second[r] = Numbers{};
    }
    for (std::int64_t tile = 0; tile < tiles; ++tile) {
      const Floats* const columns = packed + tile * dimension;
      Floats products[kRows] = {};
      for (std::int64_t k = 0; k < dimension; ++k)
        for (int r = 0; r < kRows; ++r) products[r] += columns[k] * rows[r][k];
      for (std::int64_t lane = reference.count - tile * kLanes; lane < kLanes; ++lane)
        for (int r = 0; r < kRows; ++r) products[r][lane] = kLeast;
      const Numbers here = Numbers{} + static_cast<std::int32_t>(tile);
      Floats top = best_of_reference[tile];
      for (int r = 0; r < kRows; ++r) {
        const Floats product = products[r];
        const Numbers is_best = product > best[r], is_next = product > next_best[r];
        top = product > top ? product : top;
        next_best[r] = is_best ? best[r] : is_next ? product : next_best[r];
        second[r] = is_best ? nearest[r] : is_next ? here : second[r];
        best[r] = is_best ? product : best[r];
        nearest[r] = is_best ? here : nearest[r];
      }
      best_of_reference[tile] = top;
    }
    for (int r = 0; r < kRows && i + r < query.count; ++r)
      for (int lane = 0; lane < kLanes; ++lane) {
        found[i + r].take(best[r][lane], std::int64_t{nearest[r][lane]} * kLanes + lane);
        found[i + r].take(next_best[r][lane], std::int64_t{second[r][lane]} * kLanes + lane);
      }
  }
  const float* const best = reinterpret_cast<const float*>(best_of_reference);
  for (Nearest& each : found) each.is_mutual = each.best >= best[each.nearest];
}

using Search = void(const Descriptors&, const Descriptors&, std::vector<Nearest>&);

void search_any(const Descriptors& query, const Descriptors& reference,
                std::vector<Nearest>& found) {
  search_lanes<4>(query, reference, found);
}

#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) void search_avx2(const Descriptors& query,
                                                     const Descriptors& reference,
                                                     std::vector<Nearest>& found) {
  search_lanes<8>(query, reference, found);
}

__attribute__((target("avx512f,avx512vl,avx512bw,avx512dq"))) void search_avx512(
    const Descriptors& query, const Descriptors& reference, std::vector<Nearest>& found) {
  search_lanes<16>(query, reference, found);
}
#endif

Search* search_of_this_processor() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq"))
    return search_avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return search_avx2;
#endif
  return search_any;
}

Search* const search = search_of_this_processor();

float product(const float* left, const float* right, std::int64_t dimension) {
  using Floats = Vectors<4>::Floats;
  Floats sums[4] = {};
  std::int64_t k = 0;
  for (; k + 16 <= dimension; k += 16)
    for (int part = 0; part < 4; ++part) {
      Floats a, b;
      std::memcpy(&a, left + k + 4 * part, sizeof(Floats));
      std::memcpy(&b, right + k + 4 * part, sizeof(Floats));
      sums[part] += a * b;
    }
  const Floats all = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  float sum = (all[0] + all[1]) + (all[2] + all[3]);
  for (; k < dimension; ++k) sum += left[k] * right[k];
  return sum;
}

}  // namespace

extern "C" {

// Negative: memory is missing.

// Writes pairs (query, map image), at most one for each of the query, and gives their number.
std::int64_t match_mutual_ratio(const float* query, const float* reference, const float* few_query,
                                const float* few_reference, std::int64_t num_query,
                                std::int64_t num_reference, std::int64_t dimension,
                                std::int64_t few_dimension, float squared_ratio, float rounding,
                                std::int64_t* matches) {
  try {
    const Descriptors left{query, num_query, dimension};
    const Descriptors right{reference, num_reference, dimension};
    if (num_reference < 2) return 0;
    std::vector<Nearest> found;
    search({few_query, num_query, few_dimension}, {few_reference, num_reference, few_dimension},
           found);
    const Limits limits{squared_ratio, rounding};
    std::int64_t count = 0;
    for (std::int64_t i = 0; i < num_query; ++i) {
      const Nearest& two = found[i];
      if (!two.is_mutual) continue;
      const float best = product(left.row(i), right.row(two.nearest), dimension);
      const float next_best = product(left.row(i), right.row(two.second), dimension);
      if (!limits.pass(best, next_best)) continue;
      matches[2 * count] = i;
      matches[2 * count + 1] = two.nearest;
      ++count;
    }
    return count;
  } catch (const std::bad_alloc&) {
    return -1;
  }
}

// Writes how many matches each of several map images has.
int count_mutual_ratio(const float* query, std::int64_t num_query, const float* const* references,
                       const std::int64_t* nums_reference, std::int64_t num_images,
                       std::int64_t dimension, float squared_ratio, float rounding,
                       std::int64_t* counts) {
  try {
    const Limits limits{squared_ratio, rounding};
    std::vector<Nearest> found;
    for (std::int64_t image = 0; image < num_images; ++image) {
      counts[image] = 0;
      if (nums_reference[image] < 2) continue;
      search({query, num_query, dimension}, {references[image], nums_reference[image], dimension},
             found);
      counts[image] = std::count_if(found.begin(), found.end(), [&](const Nearest& two) {
        return two.is_mutual && limits.pass(two.best, two.next_best);
      });
    }
    return 0;
  } catch (const std::bad_alloc&) {
    return -1;
  }
}
}
