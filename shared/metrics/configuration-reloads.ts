/** How changes of a configuration file went, under the names that upstream's API server has for each of its own. */
import { createHash } from "node:crypto";
import { hostname } from "node:os";
import { gaugeFamily } from "./process-families.ts";
import type { Family } from "./prometheus-text.ts";
import { CounterTable } from "./tables.ts";

const hashOf = (text: string): string =>
  text === "" ? "" : `sha256:${createHash("sha256").update(text).digest("hex")}`;

const apiserver_id_hash = hashOf(`apiserver-${hostname()}`);

export class ConfigurationReloads {
  readonly #prefix: string;
  readonly #reloads: CounterTable;
  readonly #lastAt_s = new Map<string, number>();
  #hash: string | undefined;

  /** @param subject `authentication` or `authorization` */
  constructor(subject: string) {
    this.#prefix = `apiserver_${subject}_config_controller`;
    this.#reloads = new CounterTable({
      name: `${this.#prefix}_automatic_reloads_total`,
      help: "Changes of the configuration that were taken and that were not.",
      labels: ["status", "apiserver_id_hash"],
    });
  }

  /** The text of the file holds from now on. */
  holds(text: string): void {
    this.#hash = hashOf(text);
  }

  reloaded(status: "success" | "failure"): void {
    this.#reloads.add([status, apiserver_id_hash]);
    this.#lastAt_s.set(status, Date.now() / 1000);
  }

  families(): Family[] {
    const times = [...this.#lastAt_s].map(([status, value]) => ({ labels: { status, apiserver_id_hash }, value }));
    const hash = this.#hash;
    const holding = hash === undefined ? [] : [{ labels: { apiserver_id_hash, hash }, value: 1 }];
    return [
      this.#reloads.family(),
      gaugeFamily(`${this.#prefix}_automatic_reload_last_timestamp_seconds`, "When one was last taken or not.", times),
      gaugeFamily(`${this.#prefix}_last_config_info`, "Which configuration holds, by its hash.", holding),
    ];
  }
}

export const authenticationReloads = new ConfigurationReloads("authentication");
export const authorizationReloads = new ConfigurationReloads("authorization");
