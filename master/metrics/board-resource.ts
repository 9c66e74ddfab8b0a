/** Boards as hardware: `kubectl get boards` shows sensors, power, memory and disk, asked of each board, never stored. */
import type { KubeObject } from "#shared/api/object.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import { leases, nodes, pods } from "#shared/api/resources.ts";
import { rfc3339 } from "#shared/api/time.ts";
import type { JSONSchemaProps } from "#shared/api/types/apiextensions-v1.generated.ts";
import type { ObjectMeta } from "#shared/api/types/meta-v1.generated.ts";
import { nodeLeaseNamespace } from "#shared/heartbeat/messages.ts";
import type { ComputedScope, ResourceDeclaration } from "../apiserver/registry/declaration.ts";
import type { ResourceReader } from "../apiserver/registry/reader.ts";
import { column, integerColumn, nameColumn, wideColumn } from "../apiserver/resources/columns.ts";
import type { BoardReport } from "./board-scraper.ts";
import { type DiskWear, describeWear, diskWear } from "./disk-wear.ts";
import { matches } from "./metrics-resources.ts";

/** A board of the fleet. What it cannot measure, or does not tell because it is away, is left out. */
export interface Board extends KubeObject {
  readonly metadata: ObjectMeta;
  readonly status: {
    readonly ready: boolean;
    /** Whether it is connected to the API server that answers. */
    readonly connected: boolean;
    readonly lastHeartbeatTime?: string;
    readonly pods: number;
    readonly model?: string;
    readonly bootTime?: string;
    readonly cpus?: number;
    readonly load1?: number;
    readonly temperatureCelsius?: number;
    readonly undervoltage?: boolean;
    /** Since its boot. */
    readonly undervoltageSeen?: boolean;
    readonly throttled?: boolean;
    readonly memory?: Amount;
    readonly disk?: Amount;
    readonly wear?: DiskWear;
  };
}

export interface Amount {
  readonly capacityBytes: number;
  readonly availableBytes: number;
}

export const boards: ResourceRef<Board> = {
  group: "bramble.dev",
  version: "v1",
  kind: "Board",
  plural: "boards",
  namespaced: false,
};

const amountSchema = (description: string): JSONSchemaProps => ({
  type: "object",
  description,
  properties: {
    capacityBytes: { type: "integer", format: "int64" },
    availableBytes: { type: "integer", format: "int64" },
  },
});

/** For `kubectl explain boards`. */
const boardSchema: JSONSchemaProps = {
  type: "object",
  description: "Board is a machine of the fleet as hardware. It is asked of the board when somebody reads it.",
  properties: {
    status: {
      type: "object",
      description: "What the board and the cluster tell of it; what a board cannot measure is left out.",
      properties: {
        ready: { type: "boolean", description: "Whether its Node is Ready." },
        connected: { type: "boolean", description: "Whether it is connected to the API server that answers." },
        lastHeartbeatTime: { type: "string", format: "date-time", description: "When it was last heard of." },
        pods: { type: "integer", description: "Pods that it is to run." },
        model: { type: "string", description: "What kind of board it is." },
        bootTime: { type: "string", format: "date-time", description: "When it booted." },
        cpus: { type: "integer", description: "Processor cores." },
        load1: { type: "number", description: "Load of the last minute." },
        temperatureCelsius: { type: "number", description: "Temperature of its hottest sensor." },
        undervoltage: { type: "boolean", description: "Whether its supply is too weak now." },
        undervoltageSeen: { type: "boolean", description: "Whether its supply was too weak since it booted." },
        throttled: { type: "boolean", description: "Whether its processor is slowed down now." },
        memory: amountSchema("Memory."),
        disk: amountSchema("The disk that holds Bramble's data."),
        wear: {
          type: "object",
          description: "What is written to that disk, and how long it lasts.",
          properties: {
            brambleBytesPerDay: { type: "integer", format: "int64", description: "What Bramble writes a day." },
            diskBytesPerDay: { type: "integer", format: "int64", description: "What is written to all of it a day." },
            lifeUsedPercent: { type: "integer", description: "How much of its life is used, by its own word." },
            wornOut: { type: "boolean", description: "Whether it says that its reserve is used up." },
            expectedLifeDays: {
              type: "integer",
              format: "int64",
              description: "How long a new one lasts at this rate; an estimate by its size.",
            },
          },
        },
      },
    },
  },
};

export interface BoardParts {
  readonly reader: ResourceReader;
  /** Boards that can be reached now. */
  boards(): readonly string[];
  /** Rejects while the board cannot be asked. */
  report(board: string): Promise<BoardReport>;
}

export function boardResource(parts: BoardParts): ResourceDeclaration {
  return {
    ref: boards,
    verbs: ["get", "list"],
    columns: [
      nameColumn,
      column("Ready", ({ status }: Board) => (status.ready ? "True" : "False")),
      column("Temp", ({ status }: Board) =>
        status.temperatureCelsius === undefined ? "-" : `${Math.round(status.temperatureCelsius)}°C`,
      ),
      column("Power", powerOf),
      column("Memory", ({ status }: Board) => usedOf(status.memory)),
      column("Disk", ({ status }: Board) => usedOf(status.disk)),
      integerColumn("Pods", ({ status }: Board) => status.pods),
      { name: "Heartbeat", type: "date", value: ({ status }: Board) => status.lastHeartbeatTime },
      { name: "Uptime", type: "date", value: ({ status }: Board) => status.bootTime },
      wideColumn("Model", ({ status }: Board) => status.model ?? ""),
      wideColumn("Written", ({ status }: Board) => (status.wear ? describeWear(status.wear) : "-")),
      wideColumn("Load", ({ status }: Board) => status.load1?.toFixed(2) ?? "-"),
    ],
    published: () => ({ schema: boardSchema }),
    computed: (scope: ComputedScope) => boardObjects(parts, scope),
  } as ResourceDeclaration;
}

function powerOf({ status }: Board): string {
  if (status.undervoltage) return "Undervoltage";
  if (status.throttled) return "Throttled";
  if (status.undervoltageSeen) return "WasLow";
  return status.undervoltage === undefined && status.throttled === undefined ? "-" : "OK";
}

function usedOf(amount: Amount | undefined): string {
  if (!amount || amount.capacityBytes === 0) return "-";
  return `${Math.round((1 - amount.availableBytes / amount.capacityBytes) * 100)}%`;
}

/** How many pods each node has that have not ended. Told by what is kept beside the objects: to read them all would take many
 *  times the memory that they rest in. */
function runningPods(reader: ResourceReader): Map<string, number> {
  const ended = new Set<string>();
  for (const { key, value } of reader.fields(pods, "status.phase"))
    if (value === "Succeeded" || value === "Failed") ended.add(key);
  const counts = new Map<string, number>();
  for (const { key, value } of reader.fields(pods, "spec.nodeName"))
    if (!ended.has(key)) counts.set(value, (counts.get(value) ?? 0) + 1);
  return counts;
}

async function boardObjects(parts: BoardParts, scope: ComputedScope): Promise<Board[]> {
  const { reader } = parts;
  const connected = new Set(parts.boards());
  const counts = runningPods(reader);
  const wanted = reader.list(nodes).filter(({ metadata }) => matches(metadata, scope));
  return Promise.all(
    wanted.map(async ({ metadata, status }): Promise<Board> => {
      const { name = "", labels, creationTimestamp } = metadata;
      // One that went away a moment ago is shown by what the cluster knows of it.
      const report = connected.has(name) ? await parts.report(name).catch(() => undefined) : undefined;
      const lease = reader.get(leases, { namespace: nodeLeaseNamespace, name });
      const renewed = lease?.spec?.renewTime;
      return {
        apiVersion: "bramble.dev/v1",
        kind: "Board",
        metadata: { name, ...(labels ? { labels } : {}), ...(creationTimestamp ? { creationTimestamp } : {}) },
        status: {
          ready: status?.conditions?.find(({ type }) => type === "Ready")?.status === "True",
          connected: connected.has(name),
          ...(renewed === undefined ? {} : { lastHeartbeatTime: renewed }),
          pods: counts.get(name) ?? 0,
          ...(report ? measured(report) : {}),
        },
      };
    }),
  );
}

function measured(report: BoardReport): Partial<Board["status"]> {
  const { bootedAt_ms } = report;
  const present = <K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } =>
    value === undefined ? {} : ({ [key]: value } as { [P in K]?: V });
  return {
    ...(report.model === "" ? {} : { model: report.model }),
    ...(bootedAt_ms === undefined ? {} : { bootTime: rfc3339(bootedAt_ms) }),
    ...present("cpus", report.cpus),
    ...present("load1", report.load1),
    ...present("temperatureCelsius", report.temperature_celsius),
    ...present("undervoltage", report.undervoltage),
    ...present("undervoltageSeen", report.undervoltageSeen),
    ...present("throttled", report.throttled),
    ...present("memory", amount(report.memory_bytes, report.memoryAvailable_bytes)),
    ...present("disk", amount(report.disk_bytes, report.diskAvailable_bytes)),
    ...present("wear", wearOf(report)),
  };
}

function wearOf(report: BoardReport): DiskWear | undefined {
  const wear = diskWear(report.writes);
  return Object.keys(wear).length > 0 ? wear : undefined;
}

function amount(capacity: number | undefined, available: number | undefined): Amount | undefined {
  if (capacity === undefined || available === undefined) return undefined;
  return { capacityBytes: Math.round(capacity), availableBytes: Math.round(available) };
}
