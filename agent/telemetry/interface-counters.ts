/** What /proc/net/dev counts of one interface. */
export interface InterfaceCounters {
  readonly name: string;
  readonly received_bytes: number;
  readonly receivedPackets: number;
  readonly receiveErrors: number;
  readonly receiveDrops: number;
  readonly sent_bytes: number;
  readonly sentPackets: number;
  readonly sendErrors: number;
  readonly sendDrops: number;
}

/** Reads /proc/net/dev or /proc/PID/net/dev; the loopback is left out. */
export function parseNetDev(text: string): InterfaceCounters[] {
  return text.split("\n").flatMap((line) => {
    const match = /^\s*([^:\s]+):\s*(.*)$/.exec(line);
    const name = match?.[1];
    if (name === undefined || name === "lo") return [];
    const numbers = (match?.[2] ?? "").trim().split(/\s+/).map(Number);
    const at = (index: number): number => numbers[index] ?? 0;
    return [
      {
        name,
        received_bytes: at(0),
        receivedPackets: at(1),
        receiveErrors: at(2),
        receiveDrops: at(3),
        sent_bytes: at(8),
        sentPackets: at(9),
        sendErrors: at(10),
        sendDrops: at(11),
      },
    ];
  });
}
