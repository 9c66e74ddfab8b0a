import { useState } from "preact/hooks";
import type { Amount, Board } from "#master/metrics/board-resource.ts";
import { type KubeObject, nodes } from "../api/objects.ts";
import { getJson } from "../api/request.ts";
import { historyOf, type Usage } from "../api/usage.ts";
import { useClock, useEvery, useObjects, useTitle, useUsage } from "../parts/hooks.ts";
import { Icon } from "../parts/icons.tsx";
import { useFilter } from "../parts/namespace.tsx";
import { Empty, Fault } from "../parts/notes.tsx";
import { Spark } from "../parts/spark.tsx";
import { Meter, Pill } from "../parts/status.tsx";
import { ageOf, bytesOf, coresOf, countOf, percentOf } from "../parts/words.ts";
import { objectLink } from "../route.ts";

export interface Node extends KubeObject {
  readonly spec?: { readonly unschedulable?: boolean };
  readonly status?: {
    readonly capacity?: Readonly<Record<string, string>>;
    readonly allocatable?: Readonly<Record<string, string>>;
    readonly addresses?: readonly { readonly type: string; readonly address: string }[];
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly reason?: string;
      readonly message?: string;
      readonly lastTransitionTime?: string;
    }[];
    readonly nodeInfo?: Readonly<Record<string, string>>;
  };
}

const boardsEvery_ms = 10_000;

/** What boards tell of their hardware, by name; empty where this user may not read it. */
export function useBoards(name = ""): ReadonlyMap<string, Board> {
  const [boards, setBoards] = useState<ReadonlyMap<string, Board>>(new Map());
  useEvery(
    boardsEvery_ms,
    () => {
      getJson<{ items?: Board[] } & Board>(`/apis/bramble.dev/v1/boards${name ? `/${name}` : ""}`).then(
        (answer) => setBoards(new Map((answer.items ?? [answer]).map((board) => [board.metadata.name ?? "", board]))),
        // Cards then show what the Nodes tell.
        () => setBoards(new Map()),
      );
    },
    name,
  );
  return boards;
}

export function isReady({ status }: Node): boolean {
  return status?.conditions?.find(({ type }) => type === "Ready")?.status === "True";
}

/** All boards at a glance. */
export function Fleet() {
  useTitle("Fleet");
  const { items, phase, error } = useObjects<Node>(nodes, {});
  const boards = useBoards();
  const usage = useUsage("nodes");
  const { search } = useFilter();
  useClock();
  if (phase === "failed") {
    return (
      <Fault error={error} what="the fleet">
        <p>
          Boards belong to no namespace, so only a right for the whole cluster shows them.{" "}
          <a href="#/list/core/v1/pods">Pods</a> of your namespace may be open to you.
        </p>
      </Fault>
    );
  }
  const shown = items
    .filter(({ metadata }) => metadata.name.includes(search))
    .sort(
      (a, b) =>
        Number(isReady(a)) - Number(isReady(b)) ||
        a.metadata.name.localeCompare(b.metadata.name, undefined, { numeric: true }),
    );
  return (
    <>
      <header class="page-head">
        <h1>Fleet</h1>
      </header>
      <div class="scroll">
        <Summary nodes={items} boards={boards} usage={usage} />
        {phase !== "loading" && items.length === 0 && (
          <Empty title="No boards yet">
            On the master, <code>sudo bramble token create --print-join</code> prints the line to run on a new board.
          </Empty>
        )}
        {items.length > 0 && shown.length === 0 && <Empty title="No board has such a name" />}
        <ul class="cards">
          {shown.map((node) => (
            <li key={node.metadata.name}>
              <BoardCard node={node} board={boards.get(node.metadata.name)} usage={usage} />
            </li>
          ))}
        </ul>
      </div>
    </>
  );
}

interface SummaryProps {
  readonly nodes: readonly Node[];
  readonly boards: ReadonlyMap<string, Board>;
  readonly usage: Usage | undefined;
}

function Summary({ nodes: all, boards, usage }: SummaryProps) {
  const ready = all.filter(isReady).length;
  const reports = [...boards.values()];
  const cores = all.reduce((sum, { status }) => sum + Number(status?.capacity?.["cpu"] ?? 0), 0);
  const used = [...(usage?.values() ?? [])];
  const cpu = used.reduce((sum, { cpu_cores }) => sum + cpu_cores, 0);
  const memory = reports.flatMap(({ status }) => status.memory ?? []);
  const capacity = memory.reduce((sum, { capacityBytes }) => sum + capacityBytes, 0);
  const available = memory.reduce((sum, { availableBytes }) => sum + availableBytes, 0);
  const hot = reports.filter(({ status }) => status.undervoltage || status.throttled).length;
  const pods = reports.reduce((sum, { status }) => sum + status.pods, 0);
  return (
    <dl class="tiles">
      <Tile name="Boards ready" value={`${ready} / ${all.length}`} tone={ready < all.length ? "bad" : ""} />
      <Tile name="Pods" value={boards.size > 0 ? String(pods) : "–"} />
      <Tile name="CPU in use" value={used.length > 0 ? `${coresOf(cpu)} of ${cores}` : "–"} />
      <Tile
        name="Memory in use"
        value={capacity > 0 ? `${bytesOf(capacity - available)} of ${bytesOf(capacity)}` : "–"}
      />
      <Tile name="Weak power or throttled" value={boards.size > 0 ? String(hot) : "–"} tone={hot > 0 ? "bad" : ""} />
    </dl>
  );
}

function Tile({ name, value, tone = "" }: { readonly name: string; readonly value: string; readonly tone?: string }) {
  return (
    <div class={`tile ${tone}`}>
      <dt>{name}</dt>
      <dd class="number">{value}</dd>
    </div>
  );
}

function BoardCard({
  node,
  board,
  usage,
}: {
  readonly node: Node;
  readonly board: Board | undefined;
  readonly usage: Usage | undefined;
}) {
  const { name } = node.metadata;
  const status = board?.status;
  const now = usage?.get(`nodes/${name}`);
  const cores = Number(node.status?.capacity?.["cpu"] ?? 1);
  const ready = isReady(node);
  return (
    <article class={`card board ${ready ? "" : "away"}`}>
      <div class="row">
        <h2>
          <a href={objectLink(nodes, { name })}>{name}</a>
        </h2>
        <span class="push">
          <Pill word={ready ? "Ready" : "NotReady"} />
        </span>
      </div>
      <p class="faint one-line">{status?.model || node.status?.nodeInfo?.["osImage"] || "A board"}</p>
      <PowerNotes board={board} unschedulable={node.spec?.unschedulable === true} />
      <Meter
        label="CPU"
        part={now && now.cpu_cores / cores}
        text={now ? `${coresOf(now.cpu_cores)} of ${cores}` : "–"}
      />
      <AmountMeter label="Memory" amount={status?.memory} />
      <AmountMeter label="Disk" amount={status?.disk} />
      <Spark
        points={historyOf(`nodes/${name}`).map(({ cpu_cores }) => cpu_cores)}
        label={`CPU of ${name} since the page was opened`}
      />
      <p class="facts faint">
        <span>{status ? countOf(status.pods, "pod") : ""}</span>
        <span>{status?.bootTime ? `up ${ageOf(status.bootTime)}` : ""}</span>
        <span>{status?.lastHeartbeatTime ? `heard ${ageOf(status.lastHeartbeatTime)} ago` : ""}</span>
      </p>
    </article>
  );
}

export function AmountMeter({ label, amount }: { readonly label: string; readonly amount: Amount | undefined }) {
  if (!amount || amount.capacityBytes === 0) return <Meter label={label} part={undefined} text="–" />;
  const used = amount.capacityBytes - amount.availableBytes;
  return (
    <Meter
      label={label}
      part={used / amount.capacityBytes}
      text={`${bytesOf(used)} of ${bytesOf(amount.capacityBytes)} (${percentOf(used / amount.capacityBytes)})`}
    />
  );
}

const hot_celsius = 80;

/** Temperature and what the firmware complains of. */
export function PowerNotes({
  board,
  unschedulable,
}: {
  readonly board: Board | undefined;
  readonly unschedulable: boolean;
}) {
  const status = board?.status;
  const celsius = status?.temperatureCelsius;
  return (
    <p class="chips">
      {celsius !== undefined && (
        <span class={`chip ${celsius >= hot_celsius ? "bad" : ""}`}>
          <Icon name="heat" /> {Math.round(celsius)} °C
        </span>
      )}
      {status?.undervoltage && (
        <span class="chip bad">
          <Icon name="bolt" /> Supply too weak
        </span>
      )}
      {!status?.undervoltage && status?.undervoltageSeen && (
        <span class="chip warn">
          <Icon name="bolt" /> Supply was too weak
        </span>
      )}
      {status?.throttled && (
        <span class="chip bad">
          <Icon name="alert" /> Throttled
        </span>
      )}
      {unschedulable && <span class="chip warn">Takes no new pods</span>}
      {status && !status.connected && <span class="chip warn">Not connected</span>}
    </p>
  );
}
