/**
 * A member of the monitors of one server: of those of this process while it is the lead, else of the lead's. Made by
 * shared-monitors.ts.
 */
import type { Member } from '../topology/member.ts';
import type { ProbeRow } from '../topology/samples.ts';
import { LeadLost, type RemoteMember } from './remote-member.ts';

export interface SwitchedMemberParts {
  makeLocal(): Member;
  makeRemote(): RemoteMember;
  /** Another process probes the server from now on. */
  moved(): void;
  left(): void;
}

export class SwitchedMember implements Member {
  private readonly parts: SwitchedMemberParts;
  private local: Member | undefined;
  private remote: RemoteMember | undefined;
  private hasLeft = false;

  constructor(parts: SwitchedMemberParts) {
    this.parts = parts;
  }

  /** Another worker leads, or this one; or this is the first time. */
  follow(isLead: boolean): void {
    const { local, remote } = this;
    if (isLead && local !== undefined) return;
    this.parts.moved();
    if (isLead) {
      this.remote = undefined;
      void remote?.leave();
      this.local = this.parts.makeLocal();
      return;
    }
    this.local = undefined;
    void local?.leave();
    this.remote = remote ?? this.parts.makeRemote();
    this.remote.attach();
  }

  private get inner(): Member | undefined {
    return this.local ?? this.remote;
  }

  get sinceSentMs(): number {
    return this.inner?.sinceSentMs ?? Infinity;
  }

  hurry(minGapMs: number): void {
    this.inner?.hurry(minGapMs);
  }

  refresh(): void {
    this.inner?.refresh();
  }

  suspect(): void {
    this.inner?.suspect();
  }

  loginsChanged(): void {
    this.inner?.loginsChanged();
  }

  /** If the lead is lost meanwhile, the next one is asked, once. */
  async ask(sql: string, values: readonly unknown[] = []): Promise<ProbeRow[]> {
    const asked = this.inner;
    if (asked === undefined) return [];
    try {
      return await asked.ask(sql, values);
    } catch (error) {
      if (!(error instanceof LeadLost) || this.hasLeft) throw error;
      return (this.inner ?? asked).ask(sql, values);
    }
  }

  async leave(): Promise<void> {
    this.hasLeft = true;
    this.parts.left();
    await this.inner?.leave();
  }
}
