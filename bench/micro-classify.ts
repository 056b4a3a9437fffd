/**
 * Nanoseconds per classify() on one core: known templates with changing constants, exact repeats, hints, and a first
 * sight. Not a test: `npm run build`, then `npx tsc bench/micro-classify.ts`-free: see the usage line it prints.
 */
