/** The data of COPY at their edges: cut anywhere, broken, refused, taken back; and COPY among other statements. */
import { copyData, copyDone, copyFail, extended, sync } from '../messages.ts';
import { a, b, script, type Step } from '../script.ts';

const make = a('CREATE TABLE t (i int PRIMARY KEY, x text)');
const drop = a('DROP TABLE t');
const rows = '1\tone\n2\ttwo\n3\t\\N\n';
/** COPY data, cut everywhere. */
const pieces = (size: number): ReturnType<typeof copyData>[] =>
  Array.from({ length: Math.ceil(rows.length / size) }, (_, i) => copyData(rows.slice(i * size, (i + 1) * size)));
const load = (data: string, how = ''): Step[] => [a(`COPY t FROM STDIN ${how}`), a(copyData(data), copyDone)];

export const copiedData = [
  ...[1, 5, 7].map((size) =>
    script(`COPY data in pieces of ${size} bytes`, [
      make,
      a('COPY t FROM STDIN'),
      a(...pieces(size), copyDone),
      b('SELECT * FROM t ORDER BY i'),
      drop,
    ]),
  ),
  ...[0, 3, 6, 12].map((at) =>
    script(`CopyFail behind ${at} bytes`, [
      make,
      a('COPY t FROM STDIN'),
      a(copyData(rows.slice(0, at)), copyFail('enough')),
      a('SELECT count(*) FROM t'),
      a(...extended('COPY t FROM STDIN'), copyData(rows.slice(0, at)), copyFail('enough'), sync),
      drop,
    ]),
  ),
  script('COPY data that end in the middle of a row', [
    make,
    ...load('1\tone\n2'),
    ...load('1\tone'),
    a('SELECT * FROM t'),
    drop,
  ]),
  script('COPY FROM with an end mark, a header, other delimiters', [
    make,
    ...load('1\tone\n\\.\n'),
    ...load('i;x\n2;|a;b|\n3;nil\n', "(FORMAT csv, HEADER, DELIMITER ';', QUOTE '|', NULL 'nil')"),
    a('COPY t TO STDOUT (FORMAT csv, FORCE_QUOTE *)'),
    a('COPY t (x, i) TO STDOUT'),
    drop,
  ]),
  script('COPY in binary, whole and broken', [
    make,
    ...load('not a header of COPY at all', '(FORMAT binary)'),
    ...load('PGCOPY\n', '(FORMAT binary)'),
    a('SELECT count(*) FROM t'),
    drop,
  ]),
  script('COPY that a constraint ends', [
    make,
    a('COPY t FROM STDIN'),
    a(copyData('1\tone\n'), copyData('1\tagain\n'), copyDone),
    a('SELECT count(*) FROM t'),
    a('BEGIN; COPY t FROM STDIN'),
    a(copyData('1\tone\n1\tagain\n'), copyDone),
    a('SELECT 1'),
    a('ROLLBACK'),
    drop,
  ]),
  script('COPY among other statements of one Query', [
    make,
    a('SELECT 1; COPY t FROM STDIN; SELECT count(*) FROM t; COPY t TO STDOUT'),
    a(copyData(rows), copyDone),
    a('COPY t FROM STDIN; SELECT 2'),
    a(copyFail('no')),
    a('COPY t TO STDOUT; SELECT 1/0; COPY t TO STDOUT'),
    drop,
  ]),
  script('COPY of what is not there, or not allowed', [
    a('COPY nothing FROM STDIN'),
    a('COPY f_items (nothing) FROM STDIN'),
    a("COPY f_items FROM '/etc/passwd'"),
    a("COPY f_items TO PROGRAM 'true'"),
    a('COPY f_items TO STDOUT (FORMAT nonsense)'),
    a(...extended('COPY nothing FROM STDIN'), sync),
    a('SELECT 1'),
  ]),
];
