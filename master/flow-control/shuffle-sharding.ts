/** The queues that a flow may use: `handSize` different ones of `queues`, always the same for one flow, so that a flow that
 *  fills its queues shares all of them with few others (shuffle sharding). */
export function handOf(flow: string, queues: number, handSize: number): number[] {
  let hash = BigInt(Bun.hash(flow));
  const remaining = Array.from({ length: queues }, (_, index) => index);
  const hand: number[] = [];
  for (let dealt = 0; dealt < handSize && remaining.length > 0; dealt++) {
    const left = BigInt(remaining.length);
    const at = Number(hash % left);
    hash /= left;
    hand.push(remaining[at] as number);
    remaining[at] = remaining.at(-1) as number;
    remaining.pop();
  }
  return hand;
}
