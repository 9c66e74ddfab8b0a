import { formatQuantity, milliValue, parseQuantity, type Quantity, quantityOf } from "#shared/api/quantity.ts";
import { podLimits, podRequests, type ResourceAmounts } from "#shared/api/scheduling/pod-resources.ts";
import type { LimitRange, LimitRangeItem, PersistentVolumeClaim, Pod } from "#shared/api/types/core-v1.generated.ts";

type Amounts = ReadonlyMap<string, Quantity>;
type ResourceList = Readonly<Record<string, string | number>>;

/** Where a pod is outside a LimitRange, as refusals word it. */
export function podLimitProblems({ spec }: LimitRange, pod: Pod): string[] {
  return spec.limits.flatMap((limit) => {
    if (limit.type === "Container")
      return [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])].flatMap(({ resources }) =>
        problemsOf(limit, amountsIn(resources?.requests), amountsIn(resources?.limits)),
      );
    if (limit.type === "Pod") return problemsOf(limit, quantitiesOf(podRequests(pod)), quantitiesOf(podLimits(pod)));
    return [];
  });
}

/** Where a claim is outside a LimitRange: only what it requests counts. */
export function claimLimitProblems({ spec }: LimitRange, claim: PersistentVolumeClaim): string[] {
  const requests = amountsIn(claim.spec?.resources?.requests);
  return spec.limits
    .filter((limit) => limit.type === "PersistentVolumeClaim")
    .flatMap((limit) => [
      ...bounds(limit.min).flatMap(([name, bound]) => belowMinimum(limit.type, name, bound, requests, new Map())),
      ...bounds(limit.max).flatMap(([name, bound]) => {
        const request = requests.get(name);
        const head = `maximum ${name} usage per ${limit.type} is ${formatQuantity(bound)}`;
        if (!request) return [`${head}.  No request is specified`];
        return isMore(request, bound) ? [`${head}, but request is ${formatQuantity(request)}`] : [];
      }),
    ]);
}

function problemsOf(limit: LimitRangeItem, requests: Amounts, limits: Amounts): string[] {
  return [
    ...bounds(limit.min).flatMap(([name, bound]) => belowMinimum(limit.type, name, bound, requests, limits)),
    ...bounds(limit.max).flatMap(([name, bound]) => aboveMaximum(limit.type, name, bound, requests, limits)),
    ...bounds(limit.maxLimitRequestRatio).flatMap(([name, bound]) =>
      aboveRatio(limit.type, name, bound, requests.get(name), limits.get(name)),
    ),
  ];
}

function belowMinimum(type: string, name: string, bound: Quantity, requests: Amounts, limits: Amounts): string[] {
  const [request, limit] = [requests.get(name), limits.get(name)];
  const head = `minimum ${name} usage per ${type} is ${formatQuantity(bound)}`;
  if (!request) return [`${head}.  No request is specified`];
  if (isMore(bound, request)) return [`${head}, but request is ${formatQuantity(request)}`];
  return limit && isMore(bound, limit) ? [`${head}, but limit is ${formatQuantity(limit)}`] : [];
}

function aboveMaximum(type: string, name: string, bound: Quantity, requests: Amounts, limits: Amounts): string[] {
  const [request, limit] = [requests.get(name), limits.get(name)];
  const head = `maximum ${name} usage per ${type} is ${formatQuantity(bound)}`;
  if (!limit) return [`${head}.  No limit is specified`];
  if (isMore(limit, bound)) return [`${head}, but limit is ${formatQuantity(limit)}`];
  return request && isMore(request, bound) ? [`${head}, but request is ${formatQuantity(request)}`] : [];
}

function aboveRatio(
  type: string,
  name: string,
  bound: Quantity,
  request: Quantity | undefined,
  limit: Quantity | undefined,
): string[] {
  const head = `${name} max limit to request ratio per ${type} is ${formatQuantity(bound)}`;
  if (!request || milliValue(request) === 0) return [`${head}, but no request is specified or request is 0`];
  if (!limit || milliValue(limit) === 0) return [`${head}, but no limit is specified or limit is 0`];
  const ratio = milliValue(limit) / milliValue(request);
  return ratio * 1000 > milliValue(bound) ? [`${head}, but provided ratio is ${ratio.toFixed(6)}`] : [];
}

const bounds = (list: ResourceList | undefined): [string, Quantity][] => [...amountsIn(list)];

const amountsIn = (list: ResourceList | undefined): Amounts =>
  new Map(Object.entries(list ?? {}).map(([name, value]) => [name, parseQuantity(value)]));

const quantitiesOf = (amounts: ResourceAmounts): Amounts =>
  new Map(
    [...amounts].map(([name, amount]) => [
      name,
      name === "cpu" ? quantityOf(amount, "DecimalSI", -3) : quantityOf(amount, "BinarySI"),
    ]),
  );

const isMore = (a: Quantity, b: Quantity): boolean => milliValue(a) > milliValue(b);
