/** What a client brings with its connection: parameters of the startup packet and its `options`. */
import { extended, query, sync } from '../messages.ts';
import { a, b, script } from '../script.ts';

const told = 'SHOW work_mem; SHOW TimeZone; SHOW search_path; SHOW bytea_output; SHOW IntervalStyle';

export const startup = [
  script('startup options', [
    a.connects({
      options: '-c work_mem=701kB -c search_path=f_one,public --statement-timeout=70s',
      application_name: 'x',
    }),
    a('SHOW work_mem; SHOW search_path; SHOW statement_timeout; SHOW application_name'),
    b('SHOW work_mem; SHOW search_path; SHOW statement_timeout; SHOW application_name'),
    a('SELECT * FROM f_twin'),
    a("SET work_mem = '702kB'"),
    b('SHOW work_mem'),
    a('SHOW work_mem'),
  ]),
  script('what the packet says comes before its options', [
    a.connects({
      options: '-c TimeZone=Asia/Tokyo -c application_name=low',
      application_name: 'high',
      DateStyle: 'German',
    }),
    a('SHOW TimeZone; SHOW application_name; SHOW DateStyle'),
    b.connects({ TimeZone: 'Europe/Rome', extra_float_digits: '0', client_encoding: 'UTF8' }),
    b('SHOW TimeZone; SHOW extra_float_digits'),
    a("SELECT '2020-01-02'::date"),
    b("SELECT '2020-01-02'::date"),
  ]),
  script('RESET goes back to what the client started with', [
    a.connects({ options: '-c work_mem=701kB', TimeZone: 'Asia/Tokyo', application_name: 'start' }),
    a("SET work_mem = '702kB'"),
    a('RESET work_mem'),
    b('SHOW work_mem'),
    a('SHOW work_mem'),
    a("SET application_name = 'other'"),
    a('SHOW application_name'),
  ]),
  script('startup parameters and options together', [
    a.connects({
      TimeZone: 'Asia/Tokyo',
      search_path: 'f_two, public',
      options: '-c work_mem=701kB --app.x=a\\ b -cjit=off',
    }),
    b(told),
    a(told),
    a("SELECT current_setting('app.x'), current_setting('jit')"),
    a("SET work_mem = '702kB'; SET search_path = f_one"),
    a('SELECT * FROM f_twin'),
    b('SHOW TimeZone'),
    a(told),
  ]),
  script('RESET ALL goes back to it, on whatever server', [
    a.connects({ options: '-c work_mem=701kB -c app.x=mine', extra_float_digits: '0' }),
    a("SET work_mem = '702kB'; SET app.x = 'other'; SET extra_float_digits = 1"),
    a('RESET ALL'),
    b('SELECT 0.1::float8 + 0.2; SHOW work_mem'),
    a('SELECT 0.1::float8 + 0.2; SHOW work_mem; SHOW app.x'),
    a('DISCARD ALL'),
    a('SELECT 0.1::float8 + 0.2; SHOW work_mem; SHOW app.x'),
  ]),
  script('several clients, each with its own', [
    a.connects({ TimeZone: 'Asia/Tokyo', options: '-c search_path=f_one' }),
    b.connects({ TimeZone: 'Europe/Rome', options: '-c search_path=f_two' }),
    ...[1, 2].flatMap(() => [
      a("SELECT * FROM f_twin; SELECT '2020-01-01 00:00+00'::timestamptz"),
      b(...extended("SELECT '2020-01-01 00:00+00'::timestamptz FROM f_twin"), sync, query('SELECT * FROM f_twin')),
    ]),
    a.leaves(),
    a('SHOW TimeZone; SHOW search_path'),
  ]),
];
