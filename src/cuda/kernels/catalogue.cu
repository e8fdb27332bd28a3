// The whole catalogue against many users: best items and the target's rank, scores never all in memory: src/retrieve/catalogue.rs.

#define USERS 32u
#define ITEMS 64u

// A block of 256 threads has 32 users, and walks over all items in order; a warp has four users. Item 0 is the padding.
//
// masks are the items that cannot be retrieved, ascending, those of user u at offsets[u] .. offsets[u + 1]; they score `masked`.
// Of an item that scores more than the last of a full list, or where there is room, a place among the best is found: behind all that score at
// least as much. filled[u] is how many got in. `better` counts the items before the target, ties with a smaller id among them; tied says that
// another item scores as much as an unmasked target.
// Shapes: states (users, d), weight (v, d), bias (v), targets, better, tied, filled (users), candidates, scores (users, k).
extern "C" __global__ void walk_catalogue(const float *states, const float *weight, const float *bias, const u32 *targets,
                                          const u32 *masks, const u32 *offsets, float masked, u32 users, u32 v, u32 d, u32 k,
                                          u32 *candidates, float *scores, u32 *better, u32 *tied, u32 *filled) {
    __shared__ float tile[USERS][ITEMS + 1];
    __shared__ float h[16][USERS + 1];
    __shared__ float e[16][ITEMS + 1];
    u32 lane = threadIdx.x % 32, warp = threadIdx.x / 32, first_user = blockIdx.x * USERS;
    float goal[4];
    u32 above[4], count[4], next[4];
    bool ties[4];
    for (u32 i = 0; i < 4; i++) {
        u32 user = first_user + warp * 4 + i;
        above[i] = count[i] = next[i] = 0;
        ties[i] = false;
        goal[i] = INFINITY;
        if (user >= users) continue;
        next[i] = offsets[user];
        u32 target = targets[user];
        float score = bias[target];
        for (u32 p = 0; p < d; p++) score = fmaf(weight[(u64)target * d + p], states[(u64)user * d + p], score);
        for (u32 at = offsets[user]; at < offsets[user + 1]; at++)
            if (masks[at] == target) score = masked;
        goal[i] = score;
    }
    for (u32 first = 1; first < v; first += ITEMS) {
        u32 items = v - first < ITEMS ? v - first : ITEMS;
        // Scores: a thread has two users and four items.
        u32 x = threadIdx.x % 16, y = threadIdx.x / 16;
        float sums[2][4];
        for (u32 i = 0; i < 2; i++)
            for (u32 j = 0; j < 4; j++) sums[i][j] = x + 16 * j < items ? bias[first + x + 16 * j] : 0.0f;
        for (u32 from = 0; from < d; from += 16) {
            for (u32 at = threadIdx.x; at < 16 * ITEMS; at += 256) {
                u32 p = at % 16, one = at / 16;
                e[p][one] = one < items && from + p < d ? weight[(u64)(first + one) * d + from + p] : 0.0f;
                if (one < USERS) {
                    bool inside = first_user + one < users && from + p < d;
                    h[p][one] = inside ? states[(u64)(first_user + one) * d + from + p] : 0.0f;
                }
            }
            __syncthreads();
            u32 depth = d - from < 16 ? d - from : 16;
            for (u32 p = 0; p < depth; p++)
                for (u32 i = 0; i < 2; i++)
                    for (u32 j = 0; j < 4; j++) sums[i][j] = fmaf(e[p][x + 16 * j], h[p][y + 16 * i], sums[i][j]);
            __syncthreads();
        }
        for (u32 i = 0; i < 2; i++)
            for (u32 j = 0; j < 4; j++) tile[y + 16 * i][x + 16 * j] = sums[i][j];
        __syncthreads();
        for (u32 i = 0; i < 4; i++) {
            u32 user = first_user + warp * 4 + i, row = warp * 4 + i;
            if (user >= users) continue;
            while (next[i] < offsets[user + 1] && masks[next[i]] < first + items) {
                if (lane == 0) tile[row][masks[next[i]] - first] = masked;
                next[i]++;
            }
            __syncwarp();
            u32 target = targets[user];
            for (u32 half = 0; half < ITEMS; half += 32) {
                u32 id = first + half + lane;
                bool live = half + lane < items;
                float score = tile[row][half + lane];
                bool more = live && score > goal[i], same = live && score == goal[i];
                u32 equal = __ballot_sync(0xffffffffu, same && id != target);
                above[i] += __popc(__ballot_sync(0xffffffffu, more || (same && id < target)));
                ties[i] = ties[i] || (equal != 0 && goal[i] != masked);
                // The best of a user are sorted in memory; few items get in, one after the other.
                float *best = scores + (u64)user * k;
                u32 *ids = candidates + (u64)user * k;
                float worst = k == 0 ? INFINITY : count[i] < k ? -INFINITY : best[k - 1];
                u32 open = __ballot_sync(0xffffffffu, live && score > worst);
                while (open) {
                    u32 from = __ffs(open) - 1;
                    open &= open - 1;
                    float value = __shfl_sync(0xffffffffu, score, from);
                    // Others of this round may have raised the bar.
                    if (count[i] == k && !(value > best[k - 1])) continue;
                    if (count[i] < k) count[i]++;
                    // Behind the last that scores at least as much; the others move on by one, from the end.
                    u32 place = 0;
                    for (u32 at = 0; at + 1 < count[i]; at += 32) {
                        bool stays = at + lane + 1 < count[i] && !(best[at + lane] < value);
                        place += __popc(__ballot_sync(0xffffffffu, stays));
                    }
                    for (u32 block = (count[i] - 1) / 32 + 1; block-- > 0;) {
                        u32 at = block * 32 + lane;
                        bool moves = at > place && at < count[i];
                        float score_before = moves ? best[at - 1] : 0.0f;
                        u32 id_before = moves ? ids[at - 1] : 0;
                        __syncwarp();
                        if (moves) {
                            best[at] = score_before;
                            ids[at] = id_before;
                        }
                        __syncwarp();
                    }
                    if (lane == 0) {
                        best[place] = value;
                        ids[place] = first + half + from;
                    }
                    __syncwarp();
                }
            }
        }
        __syncthreads();
    }
    for (u32 i = 0; i < 4; i++) {
        u32 user = first_user + warp * 4 + i;
        if (user >= users || lane != 0) continue;
        // Nothing compares with NaN, so a diverged model would rank every target first.
        better[user] = goal[i] != goal[i] ? v - 2 : above[i];
        tied[user] = ties[i];
        filled[user] = count[i];
    }
}
