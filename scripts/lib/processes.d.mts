export interface ProcessEntry {
  pid: number;
  ppid: number;
  command: string;
  cwd: string;
}
export function allProcesses(): ProcessEntry[];
export function processTree(root: number): number[];
export function processesOf(dir: string): ProcessEntry[];
