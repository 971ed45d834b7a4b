// A plugin made with Extism's AssemblyScript PDK. main.wasm is this file compiled by AssemblyScript 0.27.31 with
// @extism/as-pdk 1.0.0:
//
//   npm install @extism/as-pdk@1.0.0 assemblyscript@0.27.31
//   npx asc main.ts -O --runtime stub --outFile main.wasm --use abort=main/stop
import { Config, Host, LogLevel, Memory, Var } from "@extism/as-pdk";
import { error_set, http_request, length } from "@extism/as-pdk/lib/env";

function stop(message: string | null, file: string | null, line: u32, column: u32): void {
  unreachable();
}

export function echo(): i32 {
  Host.output(Host.input());
  return 0;
}

export function fail(): i32 {
  error_set(Memory.allocateString("failed with " + Host.inputString()).offset);
  return 3;
}

export function complain(): i32 {
  error_set(Memory.allocateString("complaint").offset);
  return 0;
}

export function code(): i32 {
  return I32.parseInt(Host.inputString());
}

export function config(): i32 {
  const value = Config.get(Host.inputString());
  Host.outputString(value === null ? " false" : value + " true");
  return 0;
}

export function count(): i32 {
  const before = Var.getString("n");
  const n = (before === null ? 0 : I32.parseInt(before)) + 1;
  Var.set("n", Uint8Array.wrap(String.UTF8.encode(n.toString())));
  Host.outputString(n.toString());
  return 0;
}

export function forget(): i32 {
  Var.remove("n");
  return 0;
}

export function hoard(): i32 {
  Var.set("hoard", new Uint8Array(I32.parseInt(Host.inputString())));
  return 0;
}

let calls = 0;

export function remember(): i32 {
  calls++;
  Host.outputString(calls.toString());
  return 0;
}

export function log(): i32 {
  Host.log(LogLevel.Debug, "debug " + Host.inputString());
  Host.log(LogLevel.Warn, "warn " + Host.inputString());
  return 0;
}

export function http(): i32 {
  const meta = '{"method":"POST","headers":{"X-Asked":"yes"},"url":"' + Host.inputString() + '"}';
  const body = http_request(Memory.allocateString(meta).offset, Memory.allocateString("body").offset);
  Host.outputString(new Memory(body, length(body)).toString());
  return 0;
}

export function spin(): i32 {
  while (true) {}
}

export function trap(): i32 {
  return unreachable();
}

export function params(a: i32): i32 {
  return a;
}
