import type { Log } from "#shared/client/log.ts";
import { totalGrace_s } from "./grace-periods.ts";
import type { LogindInhibitor } from "./logind.ts";
import { isMachineStopping } from "./machine-stopping.ts";
import { NodeShutdown, type NodeShutdownOptions } from "./node-shutdown.ts";

export interface BoardShutdownOptions extends NodeShutdownOptions {
  /** The system bus' socket, and where logind is told to wait longer; the system's own when absent. */
  readonly logind?: { readonly busPath: string; readonly configPath: string } | undefined;
  readonly log: Log;
}

/**
 * Learns that the board goes down, and ends its pods before: from systemd-logind ahead of time, else from the init that
 * tells the agent to end. Does nothing where no pod is to be given time.
 */
export class BoardShutdown extends NodeShutdown {
  #logind: LogindInhibitor | undefined;

  constructor(readonly boardOptions: BoardShutdownOptions) {
    super(boardOptions);
  }

  /** Holds shutdowns up from now on. */
  async watch(): Promise<void> {
    const { classes, logind, log } = this.boardOptions;
    if (classes.length === 0) return;
    const { LogindInhibitor } = await import("./logind.ts");
    this.#logind = new LogindInhibitor({
      ...logind,
      grace_s: totalGrace_s(classes),
      log,
      begin: () => this.begin(),
      cancel: () => this.cancel(),
    });
    // A bus that does not answer keeps no pod waiting.
    void this.#logind.start();
  }

  /** The agent is told to end: ends the pods if it is because the board goes down. */
  async beforeAgentEnds(): Promise<void> {
    if (this.boardOptions.classes.length > 0 && (await isMachineStopping())) await this.begin();
  }

  async stop(): Promise<void> {
    await this.#logind?.stop();
  }
}
