import { IptablesError, runProgram } from "./program.ts";
import type { Rule, Table } from "./rules.ts";

export interface IptablesOptions {
  /** `iptables` or `ip6tables`; the `-restore` and `-save` programs of that name are used too. */
  readonly program?: "iptables" | "ip6tables" | undefined;
  /** Words before each command, such as `nsenter --net=…`: how another network namespace is reached. */
  readonly prefix?: readonly string[] | undefined;
  /** How long to wait for other programs that hold the lock. */
  readonly lockWait_s?: number | undefined;
}

/** Runs the system's iptables, nft-backed or legacy. Whole chains go through one `iptables-restore`. */
export class Iptables {
  private readonly program: string;
  private readonly prefix: readonly string[];
  private readonly lockWait_s: number;

  constructor(options: IptablesOptions = {}) {
    this.program = options.program ?? "iptables";
    this.prefix = options.prefix ?? [];
    this.lockWait_s = options.lockWait_s ?? 10;
  }

  /** Applies text as renderChanges makes it: all of a table or nothing of it. */
  async restore(text: string): Promise<void> {
    if (text === "") return;
    await this.run(`${this.program}-restore`, ["--noflush", "--wait", String(this.lockWait_s)], text);
  }

  /** Names of the chains of a table, built-in ones too. */
  async chains(table: Table): Promise<string[]> {
    const saved = await this.run(`${this.program}-save`, ["-t", table]);
    return [...saved.matchAll(/^:(\S+)/gm)].map((match) => match[1] ?? "");
  }

  /** The table as `iptables-save` prints it. */
  async save(table: Table): Promise<string> {
    return this.run(`${this.program}-save`, ["-t", table]);
  }

  /** Adds the rule to a chain, built-in ones included, unless it is there. `first` inserts at the top. */
  async ensureRule(table: Table, chain: string, rule: Rule, position: "first" | "last"): Promise<void> {
    if (await this.hasRule(table, chain, rule)) return;
    await this.run(this.program, this.words(table, position === "first" ? "-I" : "-A", chain, rule));
  }

  async removeRule(table: Table, chain: string, rule: Rule): Promise<void> {
    if (await this.hasRule(table, chain, rule)) await this.run(this.program, this.words(table, "-D", chain, rule));
  }

  async hasRule(table: Table, chain: string, rule: Rule): Promise<boolean> {
    try {
      await this.run(this.program, this.words(table, "-C", chain, rule));
      return true;
    } catch (error) {
      if (error instanceof IptablesError && (error.exitCode === 1 || error.exitCode === 2)) return false;
      throw error;
    }
  }

  /** Flushes and deletes chains that exist; what jumps to them must be gone. */
  async removeChains(table: Table, names: readonly string[]): Promise<void> {
    if (names.length === 0) return;
    const lines = [
      `*${table}`,
      ...names.map((name) => `:${name} - [0:0]`),
      ...names.map((name) => `-X ${name}`),
      "COMMIT",
    ];
    await this.restore(`${lines.join("\n")}\n`);
  }

  private words(table: Table, action: string, chain: string, rule: Rule): string[] {
    return ["--wait", String(this.lockWait_s), "-t", table, action, chain, ...rule];
  }

  private run(program: string, args: readonly string[], input?: string): Promise<string> {
    return runProgram(this.prefix, program, args, input);
  }
}
