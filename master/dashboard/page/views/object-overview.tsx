import { type KubeObject, nodes, pods, type Resource } from "../api/objects.ts";
import type { Pod } from "../api/pod.ts";
import { amountOf, historyOf } from "../api/usage.ts";
import { useClock, useTable, useUsage } from "../parts/hooks.ts";
import { ResourceTable } from "../parts/resource-table.tsx";
import { Meter, Pill } from "../parts/status.tsx";
import { BoardUsageCard, PodUsageCard } from "../parts/usage-card.tsx";
import { ageOf, bytesOf } from "../parts/words.ts";
import { objectLink } from "../route.ts";
import { AmountMeter, type Node, PowerNotes, useBoards } from "./fleet.tsx";

interface Selecting extends KubeObject {
  readonly spec?: { readonly selector?: { readonly matchLabels?: Readonly<Record<string, string>> } };
}

/** What an object is: of nodes and pods what they do now, of what has pods these, and what all objects have. */
export function Overview({ resource, object }: { readonly resource: Resource; readonly object: KubeObject }) {
  useClock();
  const { plural, group } = resource;
  const selector =
    group === "apps" || group === "batch" ? (object as Selecting).spec?.selector?.matchLabels : undefined;
  return (
    <>
      {group === "" && plural === "nodes" && <NodeOverview node={object as Node} />}
      {group === "" && plural === "pods" && <PodOverview pod={object as Pod} />}
      {selector && (
        <PodsOf
          namespace={object.metadata.namespace}
          labelSelector={Object.entries(selector)
            .map((pair) => pair.join("="))
            .join(",")}
        />
      )}
      <section class="card">
        <h2>About</h2>
        <dl class="facts-list">
          <dt>Age</dt>
          <dd>{ageOf(object.metadata.creationTimestamp)}</dd>
          {object.metadata.ownerReferences?.map(({ kind, name }) => (
            <>
              <dt>Owner</dt>
              <dd>
                {kind} {name}
              </dd>
            </>
          ))}
          <dt>Labels</dt>
          <dd class="labels">
            {Object.entries(object.metadata.labels ?? {}).map(([key, value]) => (
              <code key={key}>
                {key}={value}
              </code>
            ))}
          </dd>
        </dl>
      </section>
    </>
  );
}

function PodsOf({
  namespace,
  labelSelector,
  fieldSelector,
}: {
  readonly namespace?: string | undefined;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}) {
  const feed = useTable(pods, { namespace, labelSelector, fieldSelector });
  const selection = new URLSearchParams(labelSelector ? { labelSelector } : {});
  // The metrics API selects by labels alone.
  const usage = useUsage(namespace && labelSelector ? `namespaces/${namespace}/pods?${selection}` : "");
  return (
    <section class="card table-card">
      <h2>Pods</h2>
      <ResourceTable resource={pods} feed={feed} usage={usage} />
    </section>
  );
}

function NodeOverview({ node }: { readonly node: Node }) {
  const { name } = node.metadata;
  useUsage(`nodes/${name}`);
  const board = useBoards(name).get(name);
  return (
    <>
      <div class="columns">
        <section class="card">
          <h2>Board</h2>
          <PowerNotes board={board} unschedulable={node.spec?.unschedulable === true} />
          <AmountMeter label="Memory" amount={board?.status.memory} />
          <AmountMeter label="Disk" amount={board?.status.disk} />
          <dl class="facts-list">
            <dt>Model</dt>
            <dd>{board?.status.model ?? "–"}</dd>
            <dt>Address</dt>
            <dd>{node.status?.addresses?.find(({ type }) => type === "InternalIP")?.address ?? "–"}</dd>
            <dt>System</dt>
            <dd>{node.status?.nodeInfo?.["osImage"]}</dd>
            <dt>Up</dt>
            <dd>{ageOf(board?.status.bootTime)}</dd>
            <dt>Last heard</dt>
            <dd>{ageOf(board?.status.lastHeartbeatTime)} ago</dd>
          </dl>
        </section>
        <section class="card">
          <h2>Conditions</h2>
          <dl class="facts-list">
            {node.status?.conditions?.map(({ type, status, message }) => (
              <>
                <dt>{type}</dt>
                <dd>
                  <Pill word={status} tone={(type === "Ready") === (status === "True") ? "good" : "bad"} />{" "}
                  <span class="faint">{message}</span>
                </dd>
              </>
            ))}
          </dl>
        </section>
      </div>
      <BoardUsageCard name={name} fallback={historyOf(`nodes/${name}`)} />
      <PodsOf fieldSelector={`spec.nodeName=${name}`} />
    </>
  );
}

function PodOverview({ pod }: { readonly pod: Pod }) {
  const { name, namespace } = pod.metadata;
  const usage = useUsage(`namespaces/${namespace}/pods/${name}`);
  const now = usage?.get(`pods/${namespace}/${name}`);
  const limit = amountOf(
    (pod.spec?.containers[0] as { resources?: { limits?: { memory?: string } } } | undefined)?.resources?.limits
      ?.memory,
  );
  return (
    <>
      <section class="card">
        <h2>Containers</h2>
        <ul class="plain">
          {pod.spec?.containers.map(({ name: container, image }) => {
            const status = pod.status?.containerStatuses?.find((each) => each.name === container);
            const { waiting, running, terminated } = status?.state ?? {};
            const word = waiting?.reason ?? terminated?.reason ?? (running ? "Running" : "Pending");
            return (
              <li key={container} class="row wrap">
                <strong>{container}</strong> <Pill word={word} /> <span class="faint">{image}</span>
                <span class="faint">{status?.restartCount ? `${status.restartCount} restarts` : ""}</span>
                {waiting?.message && <span class="fault-line">{waiting.message}</span>}
              </li>
            );
          })}
        </ul>
        {now && pod.spec?.containers.length === 1 && limit > 0 && (
          <Meter
            label="Memory of its limit"
            part={now.memory_bytes / limit}
            text={`${bytesOf(now.memory_bytes)} of ${bytesOf(limit)}`}
          />
        )}
        <dl class="facts-list">
          <dt>Board</dt>
          <dd>
            {pod.spec?.nodeName ? (
              <a href={objectLink(nodes, { name: pod.spec.nodeName })}>{pod.spec.nodeName}</a>
            ) : (
              "none yet"
            )}
          </dd>
          <dt>Address</dt>
          <dd>{pod.status?.podIP ?? "–"}</dd>
        </dl>
      </section>
      <PodUsageCard name={name} points={historyOf(`pods/${namespace}/${name}`)} />
    </>
  );
}
