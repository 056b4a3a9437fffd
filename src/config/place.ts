/**
 * Where a value of the configuration was given: `weir.yaml:12`, `pgbouncer.ini:3`, `WEIR_LISTEN`, `--listen`. Used by the files that
 * read it, for their messages.
 */
export type Place = string;
