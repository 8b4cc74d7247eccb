"""The mark of this installation, by which its sandboxes are told from everybody else's at a provider."""

from uuid import UUID

from sqlalchemy import LargeBinary, SmallInteger, Text, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from commandcenter.database import Record


class Instance(Record):
    """The one row that says which installation this database belongs to.

    `signing_key` signs short-lived links, such as those of downloads; `secrets_key_id`
    is the id of the key that encrypts secrets, once one does.
    """

    __tablename__ = "instance"

    only: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False, default=1)
    id: Mapped[UUID] = mapped_column()
    signing_key: Mapped[bytes] = mapped_column(LargeBinary)
    secrets_key_id: Mapped[str | None] = mapped_column(Text)


async def load_instance(session: AsyncSession) -> Instance:
    """The installation's row; the first migration makes it."""
    return (await session.execute(select(Instance))).scalar_one()
