"""How the pages look: on a screen of any width, and printed on A4."""

from __future__ import annotations

STYLE = """
:root { --ink: #1d2329; --soft: #5c6670; --line: #e3e7eb; --paper: #fff; --back: #f5f7f9;
  --blue: #2a6fa8; --good: #1f7a4d; --bad: #b3432b; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--ink);
  font: 14px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 36px 24px 64px; }
h1 { font-size: 26px; line-height: 1.25; margin: 0 0 4px; letter-spacing: -0.01em; }
h2 { font-size: 16px; margin: 0 0 12px; }
p { margin: 0 0 10px; } .soft, figcaption { color: var(--soft); }
section { background: var(--paper); border: 1px solid var(--line); border-radius: 10px;
  padding: 20px 22px; margin-top: 18px; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px;
  margin-top: 20px; }
.card { background: var(--paper); border: 1px solid var(--line); border-radius: 10px;
  padding: 12px 16px; }
.card b { display: block; font-size: 20px; font-weight: 600; line-height: 1.4;
  white-space: nowrap; letter-spacing: -0.02em; font-variant-numeric: tabular-nums; }
.card span { color: var(--soft); font-size: 12.5px; }
.row { display: flex; flex-wrap: wrap; gap: 20px 28px; align-items: flex-start; }
.wide { overflow-x: auto; }
figure { margin: 0; } figcaption { font-size: 12.5px; max-width: 350px; }
img { display: block; max-width: 100%; height: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13px; }
th { text-align: left; font-weight: 600; color: var(--soft); border-bottom: 1px solid var(--line); }
th, td { padding: 4px 18px 4px 0; vertical-align: top; }
tbody tr + tr td { border-top: 1px solid var(--line); }
td.number, th.number { text-align: right; white-space: nowrap; }
.modes table { font-size: 11.5px; flex: 1 1 460px; }
.modes th, .modes td { padding: 2px 7px 2px 0; white-space: nowrap; }
.modes td:last-child { width: 40px; }
td a { white-space: nowrap; }
tbody tr.why td { border-top: 0; padding-top: 0; } .beads { width: 100%; }
.why div { position: sticky; left: 0; max-width: min(760px, 66vw); color: var(--bad); }
code { font: 12px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace;
  overflow-wrap: anywhere; }
.warning { border-left: 4px solid var(--bad); }
.bar { display: inline-block; height: 9px; background: var(--blue); border-radius: 2px; }
details summary { cursor: pointer; color: var(--blue); margin-bottom: 10px; }
.flow td:first-child { color: var(--soft); }
@media (max-width: 700px) { main { padding: 18px 10px 40px; } section { padding: 14px 12px; }
  .wide img { max-width: none; } .images img { width: 640px !important; }
  .bars img { width: 820px !important; } th, td { padding-right: 12px; } }
@page { size: A4; margin: 9mm; }
@media print { body { background: #fff; font-size: 8.4pt; line-height: 1.3; }
  main { padding: 0; max-width: none; } p { margin: 0 0 4px; }
  h1 { font-size: 15pt; } h2 { font-size: 9.5pt; margin-bottom: 4px; }
  section, .card { border-radius: 4px; padding: 6px 9px; margin-top: 6px; }
  .card, tr, figure { break-inside: avoid; } h2 { break-after: avoid; }
  .cards { margin-top: 6px; gap: 6px; grid-template-columns: repeat(auto-fit, minmax(84px, 1fr)); }
  .card b { font-size: 10.5pt; } .card span, figcaption { font-size: 8pt; }
  table, .modes table, code { font-size: 8pt; }
  th, td { padding: 1px 8px 1px 0; } .modes td, .modes th { padding: 0 4px 0 0; }
  .row.modes { flex-wrap: nowrap; } .modes table { flex: 1 1 0; }
  .modes :is(td, th):is(:nth-child(5), :nth-last-child(-n+2)) { display: none; }
  .bars, summary { display: none; } .row { gap: 8px 14px; }
  .images img { width: 430px !important; margin: 0 auto; }
  .pupil figure:first-child { width: 370px; } .pupil figure { width: 190px; }
  .resolves figure { width: 180px; }
  .field img { width: 450px !important; margin: 0 auto; } .field figure { width: 100%; }
  .means { break-inside: avoid; } .means img { width: 600px !important; margin: 0 auto; }
  .numbers { columns: 2; column-gap: 18px; } .numbers td:first-child { width: 50%; }
  .numbers table { width: 100%; }
  .flow, .flow tbody, .flow tr, .flow td { display: inline; border: 0 !important; padding: 0; }
  .flow thead, .exact :is(h2, table) { display: none; }
  .flow td:first-child::after { content: ": "; }
  .flow tr::after { content: "; "; } }
"""
