import scala.collection.mutable._
import scala.math._

object Problem {
  case class Word(text: String, size: Long)

  def words(text: String): List[Word] =
    text.split(" ").toList.filter(_.nonEmpty).map(word => Word(word, word.length.toLong))

  def counts(numbers: List[Long]): Map[Long, Long] = {
    val found = HashMap[Long, Long]()
    for (number <- numbers if number % 2 == 0; step <- 1 to 2) {
      found(number) = found.getOrElse(number, 0L) + step
    }
    found
  }

  def first(text: String): Option[(String, Float)] = words(text).sortBy(-_.size) match {
    case Nil => None
    case head :: _ => Some((head.text, sqrt(head.size.toDouble).toFloat))
  }

  def either(wanted: Boolean): Either[Long, String] = {
    var left = 3L
    while (left > 1) left -= 1
    if (wanted) Left(left) else Right(s"$left of ${left + 1}")
  }

  def main(args: Array[String]): Unit = {
    assert(counts(List(1L, 2L, 2L)) == Map(2L -> 6L))
    assert(first("a few words").isDefined && either(true).isLeft)
    val buffer = new ListBuffer[String]()
    buffer += List(1, 2).reverse.zip(Array(3, 4)).toMap.toString
    println(buffer.mkString(", ") + "abc".reverse.toUpperCase + BigInt(3).pow(4))
  }
}
