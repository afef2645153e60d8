"""What each command of `tuwen` does: opens the stores, calls the one function for the job, prints the outcome."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from app.candidates.encode import use_threads
from app.candidates.generation import GenerationFolder
from app.candidates.listing import list_generations
from app.candidates.reindex import run_reindex
from app.candidates.serving import ServingCandidates
from app.console import Bar, bar, console, table
from app.doctor import Finding, Grade, duration, examine
from app.domain import Role
from app.errors import BadInput, Unavailable
from app.evaluation.asked import PROTOCOLS, Asked
from app.evaluation.evaluate import evaluate_log
from app.evaluation.report import tables
from app.intake.export import export_to
from app.intake.files import import_files
from app.intake.report import Counts, FileProgress
from app.plan import load_plan
from app.recommend.arms import preview
from app.recommend.recommend import recommend
from app.settings import Settings
from app.storage.audit import COMMAND_LINE, Change, write_audit
from app.storage.jobs import Job, latest_jobs
from app.storage.keys import create_key as make_key
from app.storage.keys import list_keys as all_keys
from app.storage.keys import revoke_key as end_key
from app.storage.overview import row_counts
from app.storage.postgres import sync_engine
from app.storage.scene_book import SceneBook
from app.storage.standing import read_standing
from app.storage.stores import open_stores
from app.trainer import run_trainer, train_once
from app.training.fit import StepReport

REJECTED = 3  # exit code of a training whose network the gate did not let serve


async def trainer(arguments: argparse.Namespace, settings: Settings) -> int:
    """Run the sidecar until it is stopped."""
    await run_trainer(settings)
    return 0


async def train(arguments: argparse.Namespace, settings: Settings) -> int:
    """One training cycle."""
    async with open_stores(settings.for_batch_work()) as stores:
        engine = sync_engine(stores.addresses.database_url)
        with bar("training") as learning, bar("publishing") as publishing:
            trained = await train_once(
                stores,
                engine,
                requested_by="tuwen train",
                tell=lambda report: learning.tell(report.step, report.steps, _rates(report)),
                progress=lambda step, done, total: publishing.tell(done, total, step=step),
            )
        engine.dispose()
        folder = GenerationFolder(settings.generations)
        report = folder.report(trained.generation)
    _print_evaluation(report["evaluation"])
    _print_gate(report["gate"])
    if trained.rejected is None:
        console.print(f"generation {trained.generation} serves")
        return 0
    console.print(
        f"generation {trained.generation} is rejected and {folder.current()} serves on: {trained.rejected}. "
        f"To let it serve all the same: POST /generations/{trained.generation}/promote",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    return REJECTED


def _rates(report: StepReport) -> str:
    rate = report.samples / report.seconds
    return f"{rate:.0f} samples/s, behaviour loss {report.behaviour_loss:.3f}, serving loss {report.serving_loss:.3f}"


async def reindex(arguments: argparse.Namespace, settings: Settings) -> int:
    """Encode, build, swap."""
    use_threads(settings.threads)
    async with open_stores(settings.for_batch_work()) as stores:
        with bar("reindexing") as shown:
            generation = await run_reindex(
                stores,
                requested_by="tuwen reindex",
                job_id=arguments.job,
                progress=lambda step, done, total: shown.tell(done, total, step=step),
            )
        posts = GenerationFolder(settings.generations).manifest(generation).posts
    console.print(f"generation {generation} serves {posts} posts")
    return 0


async def import_(arguments: argparse.Namespace, settings: Settings) -> int:
    """Read files into the stores; 1 when a row was rejected."""
    files = {kind: getattr(arguments, kind) for kind in ("posts", "users", "exposures", "behaviours")}
    if not any(files.values()):
        raise BadInput("nothing to import: name at least one of --posts, --users, --exposures, --behaviours")
    async with open_stores(settings.for_batch_work()) as stores:
        with bar("importing") as shown:
            report = await import_files(stores, **files, progress=lambda progress: _show_file(shown, progress))
    rejected = 0
    for kind in files:
        counts: Counts = getattr(report, kind)
        if counts.accepted or counts.duplicate or counts.rejected:
            console.print(f"{kind}: {counts.accepted} new, {counts.duplicate} known, {counts.rejected} rejected")
        rejected += counts.rejected
        _print_counts("  rejected", counts.reasons)
        _print_counts("  note", counts.notes)
        if counts.unknown_columns:
            console.print(f"  ignored columns: {', '.join(sorted(counts.unknown_columns))}", markup=False)
        if kind in report.rejects_files:
            console.print(f"  the rejected lines are in {report.rejects_files[kind]}", markup=False, soft_wrap=True)
    pictures = ", ".join(f"{count} {status.value}" for status, count in report.pictures.items())
    console.print(f"pictures: {pictures}" if pictures else "no pictures", highlight=False)
    console.print(f"{report.seconds:.1f} seconds")
    return 1 if rejected else 0


def _show_file(shown: Bar, progress: FileProgress) -> None:
    shown.tell(progress.bytes_done, progress.bytes_total, f"{progress.rows_done} rows", step=progress.kind)


def _print_counts(label: str, counts: Counter[str]) -> None:
    for reason, count in counts.most_common(5):
        console.print(f"{label}: {count} x {reason}", markup=False, highlight=False, soft_wrap=True)


async def export(arguments: argparse.Namespace, settings: Settings) -> int:
    """Write everything into a folder that `tuwen import` reads."""
    async with open_stores(settings.for_batch_work()) as stores:
        with bar("exporting") as shown:
            await export_to(stores, arguments.folder, lambda progress: _show_file(shown, progress))
    console.print(f"written to {arguments.folder}", markup=False, soft_wrap=True)
    return 0


async def evaluate(arguments: argparse.Namespace, settings: Settings) -> int:
    """Measure the product, its rivals and its controls on the log."""
    plan, sizes = load_plan(settings.plan)
    use_threads(settings.threads)
    asked = Asked(arguments.protocol or PROTOCOLS, arguments.seeds, arguments.rows or ())
    async with open_stores(settings.for_batch_work()) as stores:
        with bar("evaluating") as shown:
            figures = await evaluate_log(
                stores, plan, sizes, asked=asked, tell=lambda step: shown.tell(0, None, step=step)
            )
    for one in tables(figures):
        table(one.title, one.columns, one.lines)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")
    if arguments.pictures:
        from app.evaluation.pictures import draw_pictures  # matplotlib is slow to load, and of no use to other commands

        for file in draw_pictures(figures, arguments.pictures):
            console.print(f"drawn: {file}", markup=False, highlight=False, soft_wrap=True)
    return 0


def _print_evaluation(figures: dict[str, Any]) -> None:
    """The two tables of an evaluation."""
    if not figures.get("samples"):
        console.print("nothing was held out: the log is too short for an evaluation")
        return
    names = ["trained", "start", "popularity", "random"]
    depths = [name for name in figures["matching"] if name.startswith("recall@")]
    rows = [[name, *(f"{figures['matching'][depth][name]:.4f}" for depth in depths)] for name in names]
    table(f"matching, {figures['matching']['targets']} posts acted on", ["", *depths], rows)
    behaviours = [
        [kind, f"{of['rate']:.4f}", _figure(of["auc"]), f"{of['log_loss']:.4f}", _figure(of["calibration"])]
        for kind, of in figures["behaviours"].items()
    ]
    columns = ["behaviour", "rate", "AUC", "log-loss", "predicted / observed"]
    table(f"prediction, {figures['samples']} exposures", columns, behaviours)


def _print_gate(gate: dict[str, Any] | None) -> None:
    """What the trained network was compared with, and how that went."""
    if gate is None:
        console.print("gate: nothing was compared")
        return
    rows = [
        [
            check["name"],
            _figure(check["candidate"]),
            _figure(check["serving"]),
            f"{check['worse_by']:.3f} ± {check['standard_error']:.3f}",
            f"{check['allowed']:.3f}",
            str(check["events"]),
            check["verdict"],
        ]
        for check in gate["checks"]
    ]
    columns = ["figure", "trained", "serving", "worse by", "allowed", "events", ""]
    against = gate["against"] or "the pretrained start"
    table(f"gate: against {against}, {gate['samples']} exposures", columns, rows)


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


async def recommend_to(arguments: argparse.Namespace, settings: Settings) -> int:
    """Show a user's recommendations."""
    use_threads(settings.threads)
    async with open_stores(settings) as stores:
        serving = ServingCandidates(stores)
        await serving.refresh()
        request = preview(await SceneBook(stores).current(), settings, arguments.user, k=arguments.k)
        answer = await recommend(stores, serving.view(), request, moment=datetime.now(UTC))
    rows = [
        [post.title, post.post_id, f"{post.score:.3f}", post.reason.kind.value, post.reason.reference_post_id or ""]
        for post in answer.posts
    ]
    table(f"generation {answer.generation}", ["title", "post", "score", "reason", "reference"], rows)
    if answer.shortfall:
        console.print(answer.shortfall, highlight=False)
    return 0


async def create_key(arguments: argparse.Namespace, settings: Settings) -> int:
    """Make a key and show its secret once."""
    async with open_stores(settings) as stores:
        made = await make_key(stores.database, role=Role(arguments.role), name=arguments.name)
        after = {"role": made.key.role, "name": made.key.name}
        await write_audit(stores.database, Change(COMMAND_LINE, "keys create", made.key.key_id, after=after))
    console.print(f"{made.key.key_id}  {made.key.role.value}", highlight=False)
    print(made.secret)
    console.print("keep it: it is not shown again", style="dim")
    return 0


async def list_keys(arguments: argparse.Namespace, settings: Settings) -> int:
    """All keys without their secrets."""
    async with open_stores(settings) as stores:
        keys = await all_keys(stores.database)
    state = {one.key_id: "revoked" if one.revoked_at else "good" for one in keys}
    rows = [
        [one.key_id, one.role.value, one.name, f"{one.created_at:%Y-%m-%d %H:%M}", state[one.key_id]] for one in keys
    ]
    table("API keys", ["key", "role", "name", "made (UTC)", ""], rows)
    return 0


async def revoke_key(arguments: argparse.Namespace, settings: Settings) -> int:
    """Let a key be good no longer."""
    async with open_stores(settings) as stores:
        await end_key(stores.database, arguments.key_id)
        await write_audit(stores.database, Change(COMMAND_LINE, "keys revoke", arguments.key_id))
    console.print(f"{arguments.key_id} is good no longer", highlight=False)
    return 0


async def status(arguments: argparse.Namespace, settings: Settings) -> int:
    """What serves, what is stored, what runs."""
    async with open_stores(settings) as stores:
        counts = await row_counts(stores.database)
        jobs = await latest_jobs(stores.database, limit=5)
        standing = await read_standing(stores.database)
        cache = "answers"
        try:
            async with stores.cache.use() as client:
                await client.ping()
        except Unavailable as error:
            cache = error.message
    folder = GenerationFolder(settings.generations)
    current = folder.current()
    serving = "none yet: import posts, then run `tuwen reindex`"
    if current is not None:
        manifest = folder.manifest(current)
        serving = f"{current}, {manifest.origin}, {manifest.posts} posts, made {manifest.created_at}"
    log_age = standing.log_age_seconds
    console.print(f"generation: {serving}", highlight=False, soft_wrap=True)
    for one in list_generations(folder):
        if one.rejected:
            console.print(
                f"{one.word}: {one.generation}: {one.rejected}", markup=False, highlight=False, soft_wrap=True
            )
    console.print(f"latest exposure: {'none' if log_age is None else f'{duration(log_age)} ago'}", highlight=False)
    console.print(f"Redis: {cache}", highlight=False)
    table("stored", ["", "rows"], [[name, str(count)] for name, count in counts.items()])
    rows = [[job.job_id, job.state.value, _how_far(job), f"{job.seconds:.0f} s", job.error or ""] for job in jobs]
    table("latest jobs", ["job", "state", "step", "took", "error"], rows)
    return 0


def _how_far(job: Job) -> str:
    of_total = f" {100 * job.done / job.total:.0f} %" if job.total and job.finished_at is None else ""
    return job.step + of_total


async def doctor(arguments: argparse.Namespace, settings: Settings) -> int:
    """What is missing or does not work, and what to do; 1 when there is a problem."""
    findings = await examine(settings)
    for finding in findings:
        _print_finding(finding)
    problems, notes = (sum(one.grade is grade for one in findings) for grade in (Grade.PROBLEM, Grade.NOTE))
    console.print(f"{problems} problems, {notes} notes", highlight=False)
    return 1 if problems else 0


def _print_finding(finding: Finding) -> None:
    style = {Grade.GOOD: "green", Grade.NOTE: "yellow", Grade.PROBLEM: "bold red"}[finding.grade]
    console.print(f"{finding.grade.value:8}", style=style, end="")
    console.print(f"{finding.about}: {finding.fact}", markup=False, highlight=False, soft_wrap=True)
    if finding.remedy:
        console.print(f"        -> {finding.remedy}", markup=False, highlight=False, soft_wrap=True)
