/** Why a file that Weir makes at its start cannot be written, in words. Used by serve.ts (log.file) and pidfile.ts. */
import { userInfo } from 'node:os';
import { dirname } from 'node:path';

export function whyUnwritable(file: string, error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  switch (code) {
    case 'ENOENT':
      return `the directory ${dirname(file)} does not exist`;
    case 'EACCES':
      return `the user ${nameOfUser()} may not write it (or not enter or write ${dirname(file)})`;
    case 'EISDIR':
    case 'ERR_FS_EISDIR':
      return 'it is a directory';
    default:
      return message;
  }
}

function nameOfUser(): string {
  try {
    return userInfo().username;
  } catch {
    // A container may run as a number that has no name.
    return String(process.getuid?.());
  }
}
