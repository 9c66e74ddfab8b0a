/** What boards used lately: `kubectl get boardhistories`. Each board keeps its own and is asked when somebody reads it. */
import type { KubeObject } from "#shared/api/object.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import { nodes } from "#shared/api/resources.ts";
import { rfc3339 } from "#shared/api/time.ts";
import type { JSONSchemaProps } from "#shared/api/types/apiextensions-v1.generated.ts";
import type { ObjectMeta } from "#shared/api/types/meta-v1.generated.ts";
import type { BoardUsageSample } from "#shared/board/usage-sample.ts";
import type { ComputedScope, ResourceDeclaration } from "../apiserver/registry/declaration.ts";
import type { ResourceReader } from "../apiserver/registry/reader.ts";
import { column, integerColumn, nameColumn } from "../apiserver/resources/columns.ts";
import { matches } from "./metrics-resources.ts";

/** A board's usage over time; without samples while the board is away. */
export interface BoardHistory extends KubeObject {
  readonly metadata: ObjectMeta;
  readonly status: { readonly samples: readonly UsageSample[] };
}

/** What a board cannot measure is left out. */
export interface UsageSample {
  readonly time: string;
  readonly cpuCores?: number;
  readonly memoryBytes?: number;
  readonly diskBytes?: number;
  readonly temperatureCelsius?: number;
  readonly receivedBytesPerSecond?: number;
  readonly sentBytesPerSecond?: number;
}

const boardHistories: ResourceRef<BoardHistory> = {
  group: "bramble.dev",
  version: "v1",
  kind: "BoardHistory",
  plural: "boardhistories",
  namespaced: false,
};

const integer = (description: string): JSONSchemaProps => ({ type: "integer", format: "int64", description });
const number = (description: string): JSONSchemaProps => ({ type: "number", description });

/** For `kubectl explain boardhistories`. */
const schema: JSONSchemaProps = {
  type: "object",
  description:
    "BoardHistory is what a board used lately. The board keeps it in memory, and is asked when somebody reads it.",
  properties: {
    status: {
      type: "object",
      description: "What the board tells.",
      properties: {
        samples: {
          type: "array",
          description: "Oldest first: means of five minutes for some hours, then the last quarter of an hour finely.",
          items: {
            type: "object",
            description: "What was used at a time; what a board cannot measure is left out.",
            properties: {
              time: { type: "string", format: "date-time", description: "When it was measured." },
              cpuCores: number("Cores that worked, as a mean since the sample before."),
              memoryBytes: integer("Memory in use that cannot be freed."),
              diskBytes: integer("Use of the disk that holds Bramble's data."),
              temperatureCelsius: number("Temperature of its hottest sensor."),
              receivedBytesPerSecond: integer("What its own ports received."),
              sentBytesPerSecond: integer("What its own ports sent."),
            },
          },
        },
      },
    },
  },
};

export interface HistoryParts {
  readonly reader: ResourceReader;
  /** Boards that can be reached now. */
  boards(): readonly string[];
  /** Rejects while the board cannot be asked. */
  history(board: string): Promise<readonly BoardUsageSample[]>;
}

export function boardHistoryResource(parts: HistoryParts): ResourceDeclaration {
  return {
    ref: boardHistories,
    verbs: ["get", "list"],
    columns: [
      nameColumn,
      integerColumn("Samples", ({ status }: BoardHistory) => status.samples.length),
      { name: "Since", type: "date", value: ({ status }: BoardHistory) => status.samples[0]?.time },
      column("CPU", ({ status }: BoardHistory) => highest(status.samples, "cpuCores", (value) => value.toFixed(2))),
      column("Memory", ({ status }: BoardHistory) =>
        highest(status.samples, "memoryBytes", (value) => `${Math.round(value / 2 ** 20)}Mi`),
      ),
      column("Temp", ({ status }: BoardHistory) =>
        highest(status.samples, "temperatureCelsius", (value) => `${Math.round(value)}°C`),
      ),
    ],
    published: () => ({ schema }),
    computed: (scope: ComputedScope) => histories(parts, scope),
  } as ResourceDeclaration;
}

function highest(
  samples: readonly UsageSample[],
  measure: Exclude<keyof UsageSample, "time">,
  format: (value: number) => string,
): string {
  const values = samples.flatMap((sample) => sample[measure] ?? []);
  return values.length === 0 ? "-" : format(Math.max(...values));
}

async function histories({ reader, boards, history }: HistoryParts, scope: ComputedScope): Promise<BoardHistory[]> {
  const connected = new Set(boards());
  const wanted = reader.list(nodes).filter(({ metadata }) => matches(metadata, scope));
  return Promise.all(
    wanted.map(async ({ metadata }): Promise<BoardHistory> => {
      const { name = "", labels, creationTimestamp } = metadata;
      // One that went away a moment ago has its history with it.
      const told = connected.has(name) ? await history(name).catch(() => []) : [];
      return {
        apiVersion: "bramble.dev/v1",
        kind: "BoardHistory",
        metadata: { name, ...(labels ? { labels } : {}), ...(creationTimestamp ? { creationTimestamp } : {}) },
        status: { samples: told.map(sampleOf) },
      };
    }),
  );
}

function sampleOf(told: BoardUsageSample): UsageSample {
  const { cpu_cores, temperature_celsius, memoryUsed_bytes, diskUsed_bytes, received_bytesPerS, sent_bytesPerS } = told;
  return {
    time: rfc3339(told.at_ms),
    ...(cpu_cores === undefined ? {} : { cpuCores: Math.round(cpu_cores * 1000) / 1000 }),
    ...(memoryUsed_bytes === undefined ? {} : { memoryBytes: Math.round(memoryUsed_bytes) }),
    ...(diskUsed_bytes === undefined ? {} : { diskBytes: Math.round(diskUsed_bytes) }),
    ...(temperature_celsius === undefined ? {} : { temperatureCelsius: Math.round(temperature_celsius * 10) / 10 }),
    ...(received_bytesPerS === undefined ? {} : { receivedBytesPerSecond: Math.round(received_bytesPerS) }),
    ...(sent_bytesPerS === undefined ? {} : { sentBytesPerSecond: Math.round(sent_bytesPerS) }),
  };
}
