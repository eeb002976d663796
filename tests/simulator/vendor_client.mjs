// Calls methods of Iterable's own client, which validates every answer: [[method, parameters], …] on standard input,
// [{"value": …} or {"error": …}, …] on standard output.
import { readFileSync } from "node:fs";
import { IterableClient } from "@iterable/api";

const { url, key, calls } = JSON.parse(readFileSync(0, "utf-8"));
const client = new IterableClient({ apiKey: key, baseUrl: url, timeout: 20000 });
const answers = [];
for (const [method, parameters] of calls) {
  try {
    answers.push({ value: await client[method](parameters) });
  } catch (error) {
    answers.push({ error: `${error.name}: ${error.message}` });
  }
}
client.destroy();
process.stdout.write(JSON.stringify(answers));
