import type { Endpoint, EndpointPort, EndpointSlice } from "#shared/api/types/discovery-v1.generated.ts";
import { canonicalText } from "../canonical-text.ts";

/** Endpoints of one address family that share their ports. */
export interface EndpointGroup {
  readonly addressType: string;
  readonly ports: readonly EndpointPort[];
  readonly endpoints: readonly Endpoint[];
}

export interface SliceUpdate {
  readonly slice: EndpointSlice;
  readonly endpoints: readonly Endpoint[];
  /** Absent: those that it has. */
  readonly ports?: readonly EndpointPort[] | undefined;
}

export interface SlicePlan {
  readonly create: readonly EndpointGroup[];
  readonly update: readonly SliceUpdate[];
  readonly delete: readonly EndpointSlice[];
  /** Right as they are, as far as endpoints go. */
  readonly keep: readonly EndpointSlice[];
}

/**
 * How to get from the slices that exist to the endpoints that should (pure). Endpoints stay in the slice they are in, so
 * that a change of one pod rewrites one slice; new ones fill slices that change anyway. Those that are left go together into
 * the slice that they make fullest, or into new ones: no two slices are rewritten for them. An address family without endpoints keeps one empty slice, which says that there are none. A slice that is not
 * needed any more becomes a new one that is: only its family of addresses cannot change.
 */
export function planSlices(
  groups: readonly EndpointGroup[],
  existing: readonly EndpointSlice[],
  addressTypes: ReadonlySet<string>,
  mostInSlice: number,
): SlicePlan {
  const plan = {
    create: [] as EndpointGroup[],
    update: [] as SliceUpdate[],
    delete: [] as EndpointSlice[],
    keep: [] as EndpointSlice[],
  };
  const left = new Set(existing);
  const wanted = [...groups];
  for (const addressType of addressTypes) {
    const empty = !groups.some((group) => group.addressType === addressType && group.endpoints.length > 0);
    if (empty) wanted.push({ addressType, ports: [], endpoints: [] });
  }
  for (const group of wanted) {
    const slices = [...left].filter((slice) => sameGroup(slice, group));
    for (const slice of slices) left.delete(slice);
    planGroup(group, slices, mostInSlice, plan);
  }
  plan.delete.push(...left);
  reuse(plan);
  return plan;
}

function reuse(plan: { create: EndpointGroup[]; update: SliceUpdate[]; delete: EndpointSlice[] }): void {
  plan.delete = plan.delete.filter((slice) => {
    const index = plan.create.findLastIndex(({ addressType }) => addressType === slice.addressType);
    const [group] = index < 0 ? [] : plan.create.splice(index, 1);
    if (group) plan.update.push({ slice, endpoints: group.endpoints, ports: group.ports });
    return !group;
  });
}

const portsKey = (ports: readonly EndpointPort[] | undefined): string =>
  (ports ?? []).map(canonicalText).sort().join(" ");

const sameGroup = (slice: EndpointSlice, group: EndpointGroup): boolean =>
  slice.addressType === group.addressType && portsKey(slice.ports) === portsKey(group.ports);

/** What makes an endpoint the same one, whatever its conditions. */
const identity = ({ addresses, targetRef }: Endpoint): string =>
  `${addresses.join(",")} ${targetRef?.uid ?? ""} ${targetRef?.name ?? ""}`;

function planGroup(
  group: EndpointGroup,
  slices: readonly EndpointSlice[],
  mostInSlice: number,
  plan: {
    create: EndpointGroup[];
    update: SliceUpdate[];
    delete: EndpointSlice[];
    keep: EndpointSlice[];
  },
): void {
  const missing = new Map(group.endpoints.map((endpoint) => [identity(endpoint), endpoint]));
  const states = slices.map((slice) => {
    const endpoints: Endpoint[] = [];
    for (const present of slice.endpoints) {
      const desired = missing.get(identity(present));
      if (!desired) continue;
      missing.delete(identity(present));
      endpoints.push(desired);
    }
    const changed =
      endpoints.length !== slice.endpoints.length ||
      endpoints.some((endpoint, index) => canonicalText(endpoint) !== canonicalText(slice.endpoints[index]));
    return { slice, endpoints, changed };
  });
  const queue = [...missing.values()];
  const fill = (state: (typeof states)[number]): void => {
    const room = mostInSlice - state.endpoints.length;
    if (room <= 0 || queue.length === 0) return;
    state.endpoints.push(...queue.splice(0, room));
    state.changed = true;
  };
  // The fullest first, so that slices close up.
  const fullestFirst = states.toSorted((a, b) => b.endpoints.length - a.endpoints.length);
  for (const state of fullestFirst) if (state.changed && state.endpoints.length > 0) fill(state);
  const unchanged = fullestFirst.filter(({ changed }) => !changed);
  while (queue.length > 0) {
    const room = mostInSlice - queue.length;
    const fitting = room > 0 && unchanged.find((state) => !state.changed && state.endpoints.length <= room);
    if (fitting) fill(fitting);
    else plan.create.push({ ...group, endpoints: queue.splice(0, mostInSlice) });
  }

  const isPlaceholder = group.endpoints.length === 0;
  let kept = 0;
  for (const { slice, endpoints, changed } of states) {
    if (endpoints.length === 0 && !(isPlaceholder && kept === 0)) plan.delete.push(slice);
    else {
      kept++;
      if (changed) plan.update.push({ slice, endpoints });
      else plan.keep.push(slice);
    }
  }
  if (isPlaceholder && kept === 0) plan.create.push(group);
}
