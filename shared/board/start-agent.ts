import type { OptionalPart } from "../config/agent-settings.ts";
import type { AgentSettings } from "../config/settings.ts";
import type { ComponentPod } from "./component-pod.ts";

/** What an agent needs to know besides its settings; a master on the same board gives it the same way as a worker does. */
export interface AgentStart {
  readonly settings: AgentSettings;
  /** API servers, `https://host:port`. */
  readonly servers: readonly string[];
  /** For the first start of a board. */
  readonly token: string | undefined;
  /** Files that may hold the token: it is removed from them once the board has joined. */
  readonly tokenFiles?: readonly string[] | undefined;
  /** MQTT brokers, `mqtts://host:port`. */
  readonly brokers: readonly string[];
  /** Parts that do not run here. `upgrade` is one where the program is not the agent's own to replace. */
  readonly disabled: readonly OptionalPart[];
  /** Further components that run on this board as static pods, with `asPods`. */
  readonly componentPods?: readonly ComponentPod[] | undefined;
}

export interface RunningAgent {
  readonly nodeName: string;
  /** Pods go on. */
  stop(): Promise<void>;
}

/** agent/agent.ts, as a master gets it without importing it. */
export type StartAgent = (start: AgentStart) => Promise<RunningAgent>;
