/**
 * Drivers of other languages, as Debian ships them: which of them this machine has, and how to run the program of
 * integration/programs that is written for each.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram, runProgram } from './programs.ts';
import { checkoutDir } from './run-dir.ts';

/** A command line: program, arguments, and what it needs in its environment. */
export interface Command {
  readonly program: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export interface Driver {
  readonly name: string;
  /** Debian's packages. */
  readonly needs: string;
  /** Undefined when this machine lacks it. What is compiled goes into `dir`. */
  readonly prepare: ((dir: string) => Promise<Command>) | undefined;
}

const gocode = '/usr/share/gocode';
const jdbcJar = '/usr/share/java/postgresql.jar';
const libpqHeaders = '/usr/include/postgresql';
const source = (name: string): string => join(checkoutDir, 'integration/programs', name);

function succeeds(program: string, args: readonly string[]): boolean {
  return spawnSync(program, args, { stdio: 'ignore', timeout: 60_000 }).status === 0;
}

function python(module: string, script: string): Driver['prepare'] {
  // Debian's modules are for Debian's Python, which need not be the first one in the path.
  const programs = [findProgram('python3'), '/usr/bin/python3'].filter((program) => program !== undefined);
  const program = programs.find((one) => existsSync(one) && succeeds(one, ['-c', `import ${module}`]));
  if (program === undefined) return undefined;
  const env = { PYTHONDONTWRITEBYTECODE: '1', PYTHONIOENCODING: 'utf-8' };
  return () => Promise.resolve({ program, args: [source(script)], env });
}

function php(): Driver['prepare'] {
  const program = findProgram('php');
  const check = 'exit(extension_loaded("pdo_pgsql") && extension_loaded("pgsql") ? 0 : 1);';
  if (program === undefined || !succeeds(program, ['-r', check])) return undefined;
  return () => Promise.resolve({ program, args: [source('with-pdo.php')] });
}

async function compile(program: string, args: readonly string[], env: Command['env'] = {}): Promise<void> {
  const { code, stdout, stderr } = await runProgram(program, args, { env, timeoutMs: 250_000 });
  if (code !== 0) throw new Error(`${program} ended with ${code}:\n${stdout}${stderr}`);
}

function jdbc(): Driver['prepare'] {
  const [java, javac] = [findProgram('java'), findProgram('javac')];
  if (java === undefined || javac === undefined || !existsSync(jdbcJar)) return undefined;
  return async (dir) => {
    await compile(javac, ['-encoding', 'UTF-8', '-cp', jdbcJar, '-d', dir, source('WithJdbc.java')]);
    const args = ['-XX:TieredStopAtLevel=1', '-Dstdout.encoding=UTF-8', '-cp', `${jdbcJar}:${dir}`, 'WithJdbc'];
    return { program: java, args };
  };
}

function pgx(): Driver['prepare'] {
  const go = findProgram('go');
  if (go === undefined || !existsSync(join(gocode, 'src/github.com/jackc/pgx/v4'))) return undefined;
  return async (dir) => {
    const program = join(dir, 'with-pgx');
    const env = { GO111MODULE: 'off', GOPATH: gocode, GOFLAGS: '', GOTOOLCHAIN: 'local' };
    await compile(go, ['build', '-o', program, source('with-pgx.go')], env);
    return { program, args: [] };
  };
}

function libpq(): Driver['prepare'] {
  const cc = findProgram('cc');
  if (cc === undefined || !existsSync(join(libpqHeaders, 'libpq-fe.h'))) return undefined;
  return async (dir) => {
    const program = join(dir, 'with-libpq');
    await compile(cc, ['-Wall', '-o', program, source('with-libpq.c'), `-I${libpqHeaders}`, '-lpq']);
    return { program, args: [] };
  };
}

export function findDrivers(): Driver[] {
  return [
    { name: 'psycopg 3', needs: 'python3-psycopg', prepare: python('psycopg', 'with-psycopg.py') },
    { name: 'psycopg2', needs: 'python3-psycopg2', prepare: python('psycopg2', 'with-psycopg2.py') },
    { name: 'asyncpg', needs: 'python3-asyncpg', prepare: python('asyncpg', 'with-asyncpg.py') },
    { name: 'PHP PDO', needs: 'php-cli and php-pgsql', prepare: php() },
    { name: 'JDBC', needs: 'default-jdk-headless and libpostgresql-jdbc-java', prepare: jdbc() },
    { name: 'Go pgx', needs: 'golang-go and golang-github-jackc-pgx-v4-dev', prepare: pgx() },
    { name: 'libpq with pipelines', needs: 'gcc and libpq-dev', prepare: libpq() },
  ];
}
