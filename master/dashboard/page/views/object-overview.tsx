import { type KubeObject, pods, type Resource } from "../api/objects.ts";
import type { Pod } from "../api/pod.ts";
import { historyOf } from "../api/usage.ts";
import { faultsOf } from "../parts/conditions.ts";
import { useClock, useTable, useUsage } from "../parts/hooks.ts";
import { ObjectButton } from "../parts/object-button.tsx";
import { ResourceTable } from "../parts/resource-table.tsx";
import { Pill } from "../parts/status.tsx";
import { BoardUsageCard } from "../parts/usage-card.tsx";
import { ageOf } from "../parts/words.ts";
import { AmountMeter, type Node, PowerNotes, useBoards } from "./fleet.tsx";
import { PodOverview } from "./pod-overview.tsx";

interface Selecting extends KubeObject {
  readonly spec?: { readonly selector?: { readonly matchLabels?: Readonly<Record<string, string>> } };
}

/** What an object is: of nodes and pods what they do now, of what has pods these, and what all objects have. */
export function Overview({ resource, object }: { readonly resource: Resource; readonly object: KubeObject }) {
  useClock();
  const { plural, group } = resource;
  const selector =
    group === "apps" || group === "batch" ? (object as Selecting).spec?.selector?.matchLabels : undefined;
  const labels = Object.entries(object.metadata.labels ?? {});
  const faults = faultsOf(object);
  return (
    <>
      {faults.length > 0 && (
        <section class="card">
          <h2>What is wrong</h2>
          {faults.map((text) => (
            <p key={text} class="fault-line">
              {text}
            </p>
          ))}
        </section>
      )}
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
          {object.metadata.ownerReferences?.map(({ apiVersion, kind, name }) => (
            <>
              <dt>Owner</dt>
              <dd>
                <ObjectButton about={{ apiVersion, kind, name, namespace: object.metadata.namespace }} />
              </dd>
            </>
          ))}
          <dt>Labels</dt>
          <dd class="labels">
            {labels.length === 0 && <span class="faint">none</span>}
            {labels.map(([key, value]) => (
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
