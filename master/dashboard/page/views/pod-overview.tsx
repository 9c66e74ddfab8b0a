import { nodes } from "../api/objects.ts";
import type { Container, ContainerStatus, Ended, Pod } from "../api/pod.ts";
import { amountOf, historyOf } from "../api/usage.ts";
import { useUsage } from "../parts/hooks.ts";
import { Meter, Pill } from "../parts/status.tsx";
import { PodUsageCard } from "../parts/usage-card.tsx";
import { ageOf, bytesOf, countOf } from "../parts/words.ts";
import { objectLink } from "../route.ts";

/** What a pod's containers do and did, where it is, and what it uses. */
export function PodOverview({ pod }: { readonly pod: Pod }) {
  const { name, namespace } = pod.metadata;
  const usage = useUsage(`namespaces/${namespace}/pods/${name}`);
  const now = usage?.get(`pods/${namespace}/${name}`);
  const { containers = [], initContainers = [], nodeName } = pod.spec ?? {};
  const { containerStatuses = [], initContainerStatuses = [], podIP } = pod.status ?? {};
  const limit = amountOf(containers[0]?.resources?.limits?.memory);
  const statusOf = (statuses: readonly ContainerStatus[], container: Container): ContainerStatus | undefined =>
    statuses.find((each) => each.name === container.name);
  return (
    <>
      <section class="card">
        <h2>Containers</h2>
        <ul class="plain">
          {initContainers.map((each) => (
            <ContainerLine
              key={each.name}
              container={each}
              role={each.restartPolicy === "Always" ? "sidecar" : "before the others"}
              status={statusOf(initContainerStatuses, each)}
            />
          ))}
          {containers.map((each) => (
            <ContainerLine key={each.name} container={each} status={statusOf(containerStatuses, each)} />
          ))}
        </ul>
        {now && containers.length === 1 && limit > 0 && (
          <Meter
            label="Memory of its limit"
            part={now.memory_bytes / limit}
            text={`${bytesOf(now.memory_bytes)} of ${bytesOf(limit)}`}
          />
        )}
        <dl class="facts-list">
          <dt>Board</dt>
          <dd>{nodeName ? <a href={objectLink(nodes, { name: nodeName })}>{nodeName}</a> : "none yet"}</dd>
          <dt>Address</dt>
          <dd>{podIP ?? "–"}</dd>
        </dl>
      </section>
      <PodUsageCard name={name} points={historyOf(`pods/${namespace}/${name}`)} />
    </>
  );
}

interface LineProps {
  readonly container: Container;
  /** What an init container is. */
  readonly role?: string;
  readonly status: ContainerStatus | undefined;
}

function ContainerLine({ container, role, status }: LineProps) {
  const { waiting, running, terminated } = status?.state ?? {};
  const ended = status?.lastState?.terminated;
  const word = waiting?.reason ?? terminated?.reason ?? (running ? "Running" : "Pending");
  return (
    <li>
      <div class="row wrap">
        <strong>{container.name}</strong> <Pill word={word} />
        {running && !status?.ready && <Pill word="Not ready" tone="warn" />}
        {role && <span class="chip">{role}</span>} <span class="faint image">{container.image}</span>
        {status !== undefined && status.restartCount > 0 && (
          <span class="faint">{countOf(status.restartCount, "restart")}</span>
        )}
      </div>
      {waiting?.message && <p class="fault-line">{waiting.message}</p>}
      {terminated && terminated.exitCode !== 0 && <p class="fault-line">Ended {endOf(terminated)}</p>}
      {ended && <p class="faint">Before that it ended {endOf(ended)}</p>}
    </li>
  );
}

/** `2m ago: OOMKilled, exit code 137`. */
function endOf({ reason = "Error", exitCode, message, finishedAt }: Ended): string {
  const code = exitCode === undefined ? "" : `, exit code ${exitCode}`;
  return `${ageOf(finishedAt)} ago: ${reason}${code}${message ? `: ${message.trim()}` : ""}`;
}
